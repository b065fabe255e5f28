//! The channel of a virtual machine's guest. Its memory is the guest's own, which the process that has the device named; the
//! daemon passes that on, and asks for no more than to map and to unmap ([`vgpu_abi::link`]).

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::io::{Errno, ioctl_fionbio};
use vgpu_abi::link::{ADD, DELETE, DESCRIPTORS, DONE, Message, OPEN, PAGE};
use vgpu_packet::Error as PacketError;
use vgpu_ring::Slice;
use vgpu_ring::layout::{SESSION, SESSION_ABI};
use vgpu_ring::version::Half;
use vgpu_sandbox::Sandboxed;
use vgpu_transport::{Event, Guest, Interrupt};
use vgpu_window::Window;

use crate::close::close;
use crate::memory::map;
use crate::serve::{Error, answer_commands, answer_requests, end_with};
use crate::{Fatal, Options, Regions, Service, log};

/// Serves the channel that the daemon behind a socket opens there, until it closes its end. Otherwise as [`crate::serve`];
/// how much memory there may be is the daemon's to say, so `options` tells neither of the slice nor of regions.
///
/// The first message is [`OPEN`], or the device's page ([`PAGE`]) and then that.
///
/// # Errors
/// The channel could not be opened, or ended for another reason than the daemon's word.
pub fn serve_channel(
    socket: OwnedFd,
    options: &Options,
    mut service: impl Service,
) -> Result<(), Error> {
    end_with(options.parent)?;
    let sandboxed = close(options)?;
    let channel = Arc::new(Channel::open(socket, sandboxed)?);
    answer_requests({
        let channel = Arc::clone(&channel);
        move || channel.answer_requests()
    })?;
    answer_commands(
        &channel.guest,
        &channel.regions,
        options.spin(),
        greeted,
        &mut service,
    )
}

/// Sees that the guest speaks this version of the session ABI, once it has sent something. A library of another sees by
/// itself that this worker does not speak its own, unless it is older than version 5.
fn greeted(slice: &Window) -> Result<(), Fatal> {
    match Half::Guest.stated(slice).unwrap_or_default() {
        SESSION_ABI => Ok(()),
        guest => Err(Fatal {
            status: Fatal::MISMATCH,
            reason: format!(
                "the guest's libcuda.so.1 speaks version {guest} of the session, this worker \
                 {SESSION_ABI}: install vgpu-guest of this host's version there"
            ),
        }),
    }
}

struct Channel {
    guest: Guest,
    regions: Regions,
}

impl Channel {
    fn open(socket: OwnedFd, _: Sandboxed) -> Result<Self, Error> {
        let refused = |error: PacketError| Error::Channel(error.to_string());
        let receive = || vgpu_packet::receive::<Message>(&socket, DESCRIPTORS).map_err(refused);
        let (mut message, mut descriptors) = receive()?;
        let mut page = None;
        if message.kind == PAGE {
            page = Some((message, descriptors));
            (message, descriptors) = receive()?;
        }
        if message.kind != OPEN {
            return Err(Error::Channel(format!("kind {:#x}", message.kind)));
        }
        let parts = parts(&message, page, descriptors);
        let status = parts
            .as_ref()
            .map_or_else(|errno| errno.raw_os_error(), |_| 0);
        done(&socket, &message, status).map_err(refused)?;
        let (slice, doorbell, interrupt) = parts?;
        Ok(Self {
            guest: Guest::new(socket, slice, doorbell, interrupt),
            regions: Regions::new(u64::MAX),
        })
    }

    /// Gives whether the daemon said nothing wrong, once it has closed its end.
    fn answer_requests(&self) -> bool {
        loop {
            let answered = vgpu_packet::receive(self.guest.peer(), DESCRIPTORS)
                .and_then(|(message, descriptors)| self.answer(&message, descriptors));
            match answered {
                Ok(()) => {}
                Err(PacketError::Gone) => return true,
                Err(error) => {
                    log(format_args!("channel ended: {error}"));
                    return false;
                }
            }
        }
    }

    fn answer(&self, message: &Message, descriptors: Vec<OwnedFd>) -> Result<(), PacketError> {
        let result = match message.kind {
            ADD => memory(message, descriptors)
                .and_then(|window| self.regions.place(message.region, window)),
            DELETE => self.regions.take(message.region).map(unmap),
            _ => return Err(Errno::PROTO.into()),
        };
        let status = result.map_or_else(Errno::raw_os_error, |()| 0);
        done(self.guest.peer(), message, status)
    }
}

fn done(socket: &OwnedFd, of: &Message, status: i32) -> Result<(), PacketError> {
    let message = Message {
        kind: DONE,
        of: of.kind,
        status: status.cast_unsigned(),
        channel: of.channel,
        region: of.region,
        ..Message::default()
    };
    vgpu_packet::send(socket, &message, &[])
}

/// The memory of a message that has no other descriptors.
fn memory(message: &Message, descriptors: Vec<OwnedFd>) -> Result<Window, Errno> {
    let mut descriptors = descriptors.into_iter();
    let pieces = descriptors.next().ok_or(Errno::INVAL)?;
    map(message, pieces, descriptors.as_slice())
}

/// The slice, and the events of both directions.
fn parts(
    message: &Message,
    page: Option<(Message, Vec<OwnedFd>)>,
    descriptors: Vec<OwnedFd>,
) -> Result<(Window, Event, Interrupt), Errno> {
    let mut descriptors = descriptors.into_iter();
    let mut next = || descriptors.next().ok_or(Errno::INVAL);
    let (pieces, doorbell, interrupt) = (next()?, next()?, next()?);
    let slice = map(message, pieces, descriptors.as_slice())?;
    Slice::new(slice.clone(), &SESSION).map_err(|_| Errno::INVAL)?;
    // The guest has its session once this is answered.
    Half::Host.state(&slice, SESSION_ABI);
    let (doorbell, interrupt) = (event(doorbell)?, event(interrupt)?);
    let interrupt = match page {
        None => Interrupt::new(interrupt),
        Some((message_of_page, descriptors)) => {
            let page = memory(&message_of_page, descriptors)?;
            let bit = message.channel as usize;
            Interrupt::with_pending(interrupt, page, bit).ok_or(Errno::INVAL)?
        }
    };
    Ok((slice, doorbell, interrupt))
}

/// An event that nobody waits in.
fn event(descriptor: OwnedFd) -> Result<Event, Errno> {
    ioctl_fionbio(&descriptor, true)?;
    Ok(descriptor.into())
}

/// Waits until no command uses the memory, and unmaps it. The daemon waits no longer than it likes.
fn unmap(window: Window) {
    let mut left = Some(window);
    while let Some(Err(window)) = left.take().map(Window::unmap) {
        thread::sleep(Duration::from_millis(1));
        left = Some(window);
    }
}
