//! The channel of a virtual machine's guest. Its memory is the guest's own, which the process that has the device named; the
//! daemon passes that on, and asks for no more than to map and to unmap ([`vgpu_abi::link`]).

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::io::{Errno, ioctl_fionbio};
use vgpu_abi::link::{ADD, DELETE, DESCRIPTORS, DONE, GATE, Message, OPEN, PAGE};
use vgpu_packet::Error as PacketError;
use vgpu_ring::Slice;
use vgpu_ring::layout::{SESSION, SESSION_ABI};
use vgpu_ring::version::Half;
use vgpu_sandbox::Sandboxed;
use vgpu_transport::{Event, Guest, Interrupt};
use vgpu_window::Window;

use crate::close::close;
use crate::memory::map;
use crate::serve::{Error, answer_commands, answer_requests};
use crate::way::Way;
use crate::{Fatal, Options, Regions, Service, log};

/// Serves the channel that the daemon behind a socket opens there, until that closes its end, or has been gone for too long
/// ([`vgpu_abi::link::GRACE_MS`]). Otherwise as [`crate::serve`]; how much memory there may be is the daemon's to say, so
/// `options` tells neither of the slice nor of regions. The process does not end with the one that started it.
///
/// The first messages are the way back ([`WAY`](vgpu_abi::link::WAY)), the device's page ([`PAGE`]) where there is one, and
/// [`OPEN`]. `reconnect` takes the gate of a new daemon; an error is for the log.
///
/// # Errors
/// The channel could not be opened, or ended for another reason than a daemon's word.
pub fn serve_channel(
    socket: OwnedFd,
    options: &Options,
    mut service: impl Service,
    reconnect: impl Fn(OwnedFd) -> Result<(), String> + Send + 'static,
) -> Result<(), Error> {
    // A sandbox does not tell any more.
    let own = || rustix::process::getuid().as_raw();
    let user = options.daemon_user.unwrap_or_else(own);
    let sandboxed = close(options)?;
    let (channel, mut requests) = open(socket, user, sandboxed)?;
    let channel = Arc::new(channel);
    answer_requests({
        let channel = Arc::clone(&channel);
        move || requests.answer_all(&channel, &reconnect)
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

/// What a daemon asks for.
struct Requests {
    daemon: OwnedFd,
    way: Way,
    channel: u32,
    /// What is shared, by region: bytes and pieces. The next daemon is told.
    shared: BTreeMap<u32, (u64, u32)>,
}

fn open(daemon: OwnedFd, user: u32, _: Sandboxed) -> Result<(Channel, Requests), Error> {
    let refused = |error: PacketError| Error::Channel(error.to_string());
    let receive = || vgpu_packet::receive::<Message>(&daemon, DESCRIPTORS).map_err(refused);
    let (message, descriptors) = receive()?;
    let way = Way::of(&message, descriptors, user);
    let way = way.ok_or_else(|| Error::Channel("no way back".to_owned()))?;
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
    done(&daemon, &message, status).map_err(refused)?;
    let (slice, doorbell, interrupt) = parts?;
    let channel = Channel {
        guest: Guest::new(way.socket(), slice, doorbell, interrupt),
        regions: Regions::new(u64::MAX),
    };
    let requests = Requests {
        daemon,
        way,
        channel: message.channel,
        shared: BTreeMap::from([(0, (message.length, message.pieces))]),
    };
    Ok((channel, requests))
}

impl Requests {
    /// Gives whether no daemon said something wrong, once the last one is gone.
    fn answer_all(
        &mut self,
        channel: &Channel,
        reconnect: &impl Fn(OwnedFd) -> Result<(), String>,
    ) -> bool {
        loop {
            let answered = vgpu_packet::receive(&self.daemon, DESCRIPTORS).and_then(
                |(message, descriptors)| self.answer(channel, reconnect, &message, descriptors),
            );
            match answered {
                Ok(()) => {}
                Err(PacketError::Gone) => match self.way.next_daemon(self.channel) {
                    Some(daemon) => self.greet(daemon),
                    None => return true,
                },
                Err(error) => {
                    log(format_args!("channel ended: {error}"));
                    return false;
                }
            }
        }
    }

    fn greet(&mut self, daemon: OwnedFd) {
        let shared = self.shared.iter();
        let shared = shared.map(|(region, (length, pieces))| (*region, *length, *pieces));
        // Where it does not take that, it is gone, as the next receive tells.
        if self.way.tell(&daemon, self.channel, shared).is_err() {
            let _ = rustix::net::shutdown(&daemon, rustix::net::Shutdown::Both);
        }
        self.daemon = daemon;
    }

    fn answer(
        &mut self,
        channel: &Channel,
        reconnect: &impl Fn(OwnedFd) -> Result<(), String>,
        message: &Message,
        mut descriptors: Vec<OwnedFd>,
    ) -> Result<(), PacketError> {
        let result = match message.kind {
            ADD => memory(message, descriptors)
                .and_then(|window| channel.regions.place(message.region, window))
                .map(|()| {
                    let size = (message.length, message.pieces);
                    self.shared.insert(message.region, size);
                }),
            DELETE => channel.regions.take(message.region).map(|window| {
                unmap(window);
                self.shared.remove(&message.region);
            }),
            GATE => {
                let gate = descriptors.pop().ok_or(Errno::INVAL)?;
                reconnect(gate).map_err(|why| {
                    log(format_args!("no gate: {why}"));
                    Errno::IO
                })
            }
            _ => return Err(Errno::PROTO.into()),
        };
        let status = result.map_or_else(Errno::raw_os_error, |()| 0);
        done(&self.daemon, message, status)
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
