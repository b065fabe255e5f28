//! What a device with features shares with the daemon: its channels, and the way there.

use std::mem;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use vgpu_abi::bar0::CHANNELS;
use vgpu_abi::mailbox::code;
use vgpu_channels::{Channels, GuestMemory, Limits, Outcome};
use vgpu_device::{FeaturesConfig, Request};
use vgpu_link::Link;

/// Where the daemon listens, and the machine's UUID, by which it knows what this one may have.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) socket: PathBuf,
    pub(crate) machine: [u8; 16],
}

/// The eventfd of a doorbell, for QEMU to signal in place of the device.
#[repr(C)]
#[derive(Debug, Default)]
pub struct VgpuDoorbell {
    /// Whose doorbell it is.
    pub channel: u32,
    /// The descriptor that QEMU has for it, still open; -1 where it has none.
    pub before: i32,
    /// The descriptor that it is to have in place of that; -1 for none.
    pub after: i32,
}

/// The host's side of a device with features.
#[derive(Debug)]
pub(crate) struct Sharing {
    channels: Channels,
    socket: Option<PathBuf>,
    link: Option<Link>,
    /// One that has ended, which QEMU may still watch.
    ended: Option<Link>,
    /// Workers signal it for all channels.
    raised: Arc<OwnedFd>,
    /// What the guest has asked for, and is not yet begun.
    request: Option<Request>,
    /// The doorbells that QEMU has, by channel, and the last one taken from it.
    given: Vec<Option<Arc<OwnedFd>>>,
    taken: Option<Arc<OwnedFd>>,
}

impl Sharing {
    /// Of a device that has these features. Without a place there is no daemon.
    ///
    /// # Errors
    ///
    /// There are no descriptors left.
    pub(crate) fn new(features: &FeaturesConfig, place: Option<Place>) -> Result<Self, Errno> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let raised = Arc::new(eventfd(0, flags)?);
        let (socket, machine) = match place {
            Some(Place { socket, machine }) => (Some(socket), machine),
            None => (None, [0; 16]),
        };
        Ok(Self {
            channels: Channels::new(machine, Limits::from(features), Arc::clone(&raised)),
            socket,
            link: None,
            ended: None,
            raised,
            request: None,
            given: Vec::new(),
            taken: None,
        })
    }

    /// Whether the guest has asked for something that is not begun.
    pub(crate) fn is_asked(&self) -> bool {
        self.request.is_some()
    }

    /// Whether somebody has some of the guest's memory, or is about to.
    pub(crate) fn is_shared(&self) -> bool {
        !self.channels.are_given_up()
    }

    /// What the guest asks for, to be done from the main loop: it reads the guest's memory.
    pub(crate) fn ask(&mut self, request: Request) {
        self.request = Some(request);
    }

    pub(crate) fn work(&mut self, memory: Option<&dyn GuestMemory>) -> Option<Outcome> {
        let request = self.request.take()?;
        match memory {
            Some(memory) => self.channels.request(request, memory),
            None => Some(Outcome::Complete(request.number, Err(code::HOST))),
        }
    }

    /// All of the guest's memory is given up, now or soon.
    pub(crate) fn revoke(&mut self, number: u32) -> Option<Outcome> {
        self.request = None;
        self.channels.revoke(number)
    }

    pub(crate) fn ring(&self, channel: u16) {
        self.channels.ring(channel);
    }

    pub(crate) fn has_memory_in(&self, first: u64, last: u64) -> bool {
        self.channels.unmapped(first, last)
    }

    /// Looks for the daemon, where there is to be one and is none.
    pub(crate) fn connect(&mut self) -> Option<Outcome> {
        let socket = self.socket.as_ref().filter(|_| self.link.is_none())?;
        let link = Link::connect(socket).ok()?;
        let outcome = self.channels.connected(Box::new(link.clone()));
        self.link = Some(link);
        outcome
    }

    /// What the daemon says next, if anything, which may ask for nothing of the device.
    pub(crate) fn hear(&mut self) -> Option<Option<Outcome>> {
        let link = self.link.as_ref()?;
        let heard = match link.receive() {
            Ok(None) => return None,
            Ok(Some((message, way))) => self.channels.received(&message, way),
            Err(error) => Err(error),
        };
        Some(heard.unwrap_or_else(|_| {
            self.ended = self.link.take();
            self.channels.disconnected()
        }))
    }

    /// Does what is due of workers that have no daemon, and says what came of that, or of anything beside what was told.
    pub(crate) fn attend(&mut self) -> Option<Outcome> {
        self.channels.attend()
    }

    /// Whether workers are about to end, which [`Self::attend`] finds out.
    pub(crate) fn is_settling(&self) -> bool {
        self.channels.is_settling()
    }

    /// The daemon's socket, where there is a daemon.
    pub(crate) fn socket(&self) -> Option<Arc<OwnedFd>> {
        self.link.as_ref().map(Link::socket)
    }

    /// The socket to watch, where there is one: what the daemon says.
    pub(crate) fn watched(&self) -> Option<i32> {
        self.link.as_ref().map(|link| link.socket().as_raw_fd())
    }

    /// Nobody watches the socket any more of a daemon that is gone.
    pub(crate) fn unwatched(&mut self) {
        self.ended = None;
    }

    /// What workers signal: to be watched, then [`Self::pass_on`].
    pub(crate) fn raised(&self) -> i32 {
        self.raised.as_raw_fd()
    }

    /// Whether workers have interrupted the guest since the last time.
    pub(crate) fn pass_on(&self) -> bool {
        rustix::io::read(&*self.raised, &mut [0; 8]).is_ok()
    }

    /// A doorbell for which QEMU has another descriptor than it is to have; it has that then.
    pub(crate) fn next_doorbell(&mut self) -> Option<VgpuDoorbell> {
        self.given.resize_with(CHANNELS.into(), || None);
        let changed = (0..CHANNELS).zip(&mut self.given).find(|(channel, given)| {
            let now = self.channels.doorbell(*channel);
            now.map(Arc::as_ptr) != given.as_ref().map(Arc::as_ptr)
        });
        self.taken = None;
        let (channel, given) = changed?;
        let now = self.channels.doorbell(channel).cloned();
        self.taken = mem::replace(given, now);
        let number = |it: &Option<Arc<OwnedFd>>| it.as_ref().map_or(-1, AsRawFd::as_raw_fd);
        Some(VgpuDoorbell {
            channel: channel.into(),
            before: number(&self.taken),
            after: number(given),
        })
    }
}
