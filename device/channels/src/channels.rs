//! What a driver asks for, and what the daemon says.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use vgpu_abi::bar0::CHANNELS;
use vgpu_abi::link::{self, Message, Piece};
use vgpu_abi::mailbox::code;
use vgpu_abi::segment::{PAGE, PIECES_MAX};
use vgpu_device::{HostState, Request, Task};

use crate::directory::{Bounds, resolve};
use crate::limits::{Limits, refused};
use crate::memory::{GuestMemory, Missing, Shared};
use crate::table::{Region, Table};

/// The way to the daemon.
pub trait Daemon: fmt::Debug + Send {
    /// Sends a message with its pieces and descriptors, without waiting.
    ///
    /// # Errors
    ///
    /// The daemon is gone, or does not take it: it is as good as gone.
    fn send(
        &mut self,
        message: &Message,
        pieces: &[Piece],
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), Errno>;
}

/// What the device has to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// [`Device::complete`](vgpu_device::Device::complete).
    Complete(u32, Result<Option<u32>, u16>),
    /// [`Device::set_host_state`](vgpu_device::Device::set_host_state), with the number of the last revocation.
    State(HostState, u32),
    /// [`Device::channel_lost`](vgpu_device::Device::channel_lost).
    Lost,
}

/// A command that the daemon works on.
#[derive(Debug)]
struct Waiting {
    number: u32,
    /// What is to be answered by the daemon.
    kind: u32,
    channel: u32,
    region: u32,
}

/// The channels of one device.
#[derive(Debug)]
pub struct Channels {
    machine: [u8; 16],
    limits: Limits,
    daemon: Option<Box<dyn Daemon>>,
    /// Whether the daemon has said that it takes channels.
    ready: bool,
    table: Table,
    /// The eventfds that wake workers, by channel.
    doorbells: Vec<Option<Arc<OwnedFd>>>,
    /// The eventfd by which workers interrupt the guest.
    interrupt: Arc<OwnedFd>,
    page: bool,
    waiting: Option<Waiting>,
    /// Resets that the daemon has not done yet: what it says of before them is of no interest.
    resets: u32,
    /// Number of the last revocation.
    revoked: u32,
}

impl Channels {
    /// None yet, and no daemon. Workers signal `interrupt`, an eventfd.
    #[must_use]
    pub fn new(machine: [u8; 16], limits: Limits, interrupt: Arc<OwnedFd>) -> Self {
        Self {
            machine,
            limits,
            daemon: None,
            ready: false,
            table: Table::default(),
            doorbells: Vec::new(),
            interrupt,
            page: false,
            waiting: None,
            resets: 0,
            revoked: 0,
        }
    }

    /// Whether nothing of the guest's is held by anybody.
    #[must_use]
    pub fn are_given_up(&self) -> bool {
        self.resets == 0 && self.holds_nothing()
    }

    /// Whether no channel is open, nor about to be: the device can be saved.
    #[must_use]
    pub fn holds_nothing(&self) -> bool {
        self.table.is_empty() && !self.page && self.waiting.is_none()
    }

    /// There is a daemon.
    pub fn connected(&mut self, daemon: Box<dyn Daemon>) -> Option<Outcome> {
        self.daemon = Some(daemon);
        let attach = Message {
            kind: link::ATTACH,
            version: link::VERSION,
            machine: self.machine,
            ..Message::default()
        };
        match self.send(&attach, &Shared::default(), &[]) {
            Ok(()) => None,
            Err(_) => Some(self.disconnected()),
        }
    }

    /// The daemon is gone, and with it all workers.
    pub fn disconnected(&mut self) -> Outcome {
        let held = !self.holds_nothing();
        let served = self.ready || self.resets > 0;
        self.daemon = None;
        self.ready = false;
        self.resets = 0;
        self.forget();
        let state = match held || served {
            true => HostState::Lost,
            false => HostState::NoDaemon,
        };
        Outcome::State(state, self.revoked)
    }

    fn forget(&mut self) {
        self.table.clear();
        self.doorbells.clear();
        self.page = false;
        self.waiting = None;
    }

    /// The guest asks for something. What the daemon has to do is answered later.
    pub fn request(&mut self, request: Request, memory: &dyn GuestMemory) -> Option<Outcome> {
        let done = |result| Some(Outcome::Complete(request.number, result));
        if self.waiting.is_some() || self.resets > 0 || !self.ready {
            return done(Err(code::NOT_READY));
        }
        match self.begin(&request, memory) {
            Ok(Begun::Done(value)) => done(Ok(value)),
            Ok(Begun::Sent(waiting)) => {
                self.waiting = Some(waiting);
                None
            }
            Err(code) => done(Err(code)),
        }
    }

    fn begin(&mut self, request: &Request, memory: &dyn GuestMemory) -> Result<Begun, u16> {
        let message = Message::default();
        match request.task {
            Task::Start { page } => {
                if self.page || !page.is_multiple_of(PAGE) {
                    return Err(code::PARAMETERS);
                }
                let found = memory.find(page).map_err(missing)?;
                let mut shared = Shared::default();
                let pushed = shared.push(&found, PAGE, 1);
                let whole = found.length >= PAGE && found.offset.is_multiple_of(PAGE);
                if !whole || pushed.is_none() {
                    return Err(code::NOT_MEMORY);
                }
                let message = Message {
                    kind: link::PAGE,
                    length: PAGE,
                    ..message
                };
                self.ask(request.number, message, &shared, &[])
            }
            Task::Stop if self.holds_nothing() => Ok(Begun::Done(None)),
            Task::Stop => {
                let message = Message {
                    kind: link::RESET,
                    ..message
                };
                self.ask(request.number, message, &Shared::default(), &[])
            }
            Task::Open { directory, length } => {
                let channel = self.table.free_channel(&self.limits)?;
                let message = Message {
                    kind: link::OPEN,
                    channel: channel as u32, // below 256
                    length,
                    ..message
                };
                let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
                let doorbell = eventfd(0, flags).map_err(|_| code::HOST)?;
                let interrupt = Arc::clone(&self.interrupt);
                let begun = self.share(
                    request.number,
                    message,
                    directory,
                    memory,
                    &[doorbell.as_fd(), interrupt.as_fd()],
                )?;
                if self.doorbells.len() <= channel {
                    self.doorbells
                        .resize_with(channel.saturating_add(1), || None);
                }
                if let Some(place) = self.doorbells.get_mut(channel) {
                    *place = Some(Arc::new(doorbell));
                }
                Ok(begun)
            }
            Task::Add {
                channel,
                directory,
                length,
            } => {
                let region = self.table.free_region(channel, &self.limits)?;
                let message = Message {
                    kind: link::ADD,
                    channel,
                    region: region as u32, // below 256
                    length,
                    ..message
                };
                self.share(request.number, message, directory, memory, &[])
            }
            Task::Close { channel } if self.is_lost(channel) => {
                self.close(channel);
                Ok(Begun::Done(None))
            }
            Task::Close { channel } => {
                let there = self.table.has(channel);
                let message = Message {
                    kind: link::CLOSE,
                    channel,
                    ..message
                };
                self.ask_of(there, request.number, message)
            }
            Task::Look { channel } if self.table.has(channel) => {
                Ok(Begun::Done(Some(u32::from(!self.is_lost(channel)))))
            }
            Task::Look { .. } => Err(code::ABSENT),
            Task::Delete { channel, region } => {
                let there = region != 0 && self.table.has_region(channel, region);
                let message = Message {
                    kind: link::DELETE,
                    channel,
                    region,
                    ..message
                };
                self.ask_of(there, request.number, message)
            }
        }
    }

    fn ask_of(&mut self, there: bool, number: u32, message: Message) -> Result<Begun, u16> {
        match there {
            true => self.ask(number, message, &Shared::default(), &[]),
            false => Err(code::ABSENT),
        }
    }

    /// Asks the daemon to map what a directory names.
    fn share(
        &mut self,
        number: u32,
        message: Message,
        directory: u64,
        memory: &dyn GuestMemory,
        events: &[BorrowedFd<'_>],
    ) -> Result<Begun, u16> {
        let (mut bytes, mut pieces) = (0_u64, 0_usize);
        for region in self.table.all() {
            bytes = bytes.saturating_add(region.length);
            pieces = pieces.saturating_add(region.pieces);
        }
        let length = message.length;
        if length == 0 || !length.is_multiple_of(PAGE) {
            return Err(code::PARAMETERS);
        }
        if bytes.saturating_add(length) > self.limits.bytes {
            return Err(code::LIMIT);
        }
        let taken: Vec<_> = self.table.all().map(|region| &region.addresses).collect();
        let bounds = Bounds {
            length,
            pieces: (PIECES_MAX as usize).saturating_sub(pieces),
            taken: &taken,
        };
        let resolved = resolve(memory, directory, &bounds)?;
        let region = Region {
            addresses: resolved.addresses,
            length,
            pieces: resolved.shared.pieces.len(),
        };
        let begun = self.ask(number, message, &resolved.shared, events)?;
        // From here on the daemon may have it.
        self.table.add(message.channel, message.region, region);
        Ok(begun)
    }

    fn ask(
        &mut self,
        number: u32,
        message: Message,
        shared: &Shared,
        events: &[BorrowedFd<'_>],
    ) -> Result<Begun, u16> {
        self.send(&message, shared, events)
            .map_err(|_| code::HOST)?;
        self.page |= message.kind == link::PAGE;
        Ok(Begun::Sent(Waiting {
            number,
            kind: message.kind,
            channel: message.channel,
            region: message.region,
        }))
    }

    fn send(
        &mut self,
        message: &Message,
        shared: &Shared,
        events: &[BorrowedFd<'_>],
    ) -> Result<(), Errno> {
        let daemon = self.daemon.as_mut().ok_or(Errno::NOTCONN)?;
        let message = Message {
            pieces: shared.pieces.len() as u32, // at most PIECES_MAX
            files: shared.files.len() as u32,   // at most FILES
            ..*message
        };
        let files = shared.files.iter().map(|file| file.as_fd());
        let descriptors: Vec<_> = events.iter().copied().chain(files).collect();
        daemon.send(&message, &shared.pieces, &descriptors)
    }

    /// All of the guest's memory is to be given up, by the revocation of this number. What becomes of it is told at once, or
    /// when the daemon has done it.
    pub fn revoke(&mut self, number: u32) -> Option<Outcome> {
        self.revoked = number;
        let stops = |waiting: &mut Waiting| waiting.kind == link::RESET;
        if self.waiting.take_if(stops).is_some() {
            // The driver has asked for a reset itself, which is as good: it is answered once.
            self.forget();
            self.resets = self.resets.saturating_add(1);
        }
        if self.holds_nothing() {
            // Where a reset is in work, its end says so.
            return (self.resets == 0).then(|| self.state());
        }
        self.forget();
        let reset = Message {
            kind: link::RESET,
            ..Message::default()
        };
        match self.send(&reset, &Shared::default(), &[]) {
            Ok(()) => {
                self.resets = self.resets.saturating_add(1);
                None
            }
            Err(_) => Some(self.disconnected()),
        }
    }

    fn state(&self) -> Outcome {
        let state = match self.ready {
            true => HostState::Ready,
            false => HostState::NoDaemon,
        };
        Outcome::State(state, self.revoked)
    }

    /// Addresses are no memory of the guest's any more. Where a channel has some of it, all channels are to be given up: the
    /// device is to be [revoked](vgpu_device::Device::set_host_state) then.
    #[must_use]
    pub fn unmapped(&self, first: u64, last: u64) -> bool {
        self.table.within(first, last)
    }

    /// The daemon says something. A message that makes no sense is the end of the link, as `Err`.
    ///
    /// # Errors
    ///
    /// The daemon breaks the protocol.
    pub fn received(&mut self, message: &Message) -> Result<Option<Outcome>, Errno> {
        match message.kind {
            link::STATE => {
                self.ready = message.status == 1;
                let quiet = self.resets > 0;
                Ok((!quiet).then(|| self.state()))
            }
            // A process may still have the memory: it is asked for once more, until none has.
            link::DONE if message.of == link::RESET && self.resets > 0 && message.status != 0 => {
                let again = Message {
                    kind: link::RESET,
                    ..Message::default()
                };
                let sent = self.send(&again, &Shared::default(), &[]);
                Ok(sent.is_err().then(|| self.disconnected()))
            }
            link::DONE if message.of == link::RESET && self.resets > 0 => {
                self.resets = self.resets.saturating_sub(1);
                let last = self.resets == 0;
                Ok(last.then(|| self.state()))
            }
            // Of what was asked for before a reset.
            link::DONE | link::LOST if self.resets > 0 => Ok(None),
            link::DONE => self.done(message).map(Some),
            link::LOST if message.channel < CHANNELS.into() => {
                // The driver still has to close it: only then is the number another's.
                self.silence(message.channel);
                Ok(self.table.has(message.channel).then_some(Outcome::Lost))
            }
            _ => Err(Errno::PROTO),
        }
    }

    fn done(&mut self, message: &Message) -> Result<Outcome, Errno> {
        let asked = |it: &mut Waiting| {
            (it.kind, it.channel, it.region) == (message.of, message.channel, message.region)
        };
        let waiting = self.waiting.take_if(asked).ok_or(Errno::PROTO)?;
        let Waiting {
            number,
            kind,
            channel,
            region,
        } = waiting;
        let succeeded = message.status == 0;
        let result = match (kind, succeeded) {
            (link::OPEN, true) => Ok(Some(channel)),
            (link::ADD, true) => Ok(Some(region)),
            (_, true) => Ok(None),
            (_, false) => Err(refused(message.status)),
        };
        match kind {
            link::RESET if succeeded => self.forget(),
            link::PAGE => self.page = succeeded,
            link::OPEN if !succeeded => self.close(channel),
            link::CLOSE if succeeded => self.close(channel),
            link::ADD if !succeeded => self.table.remove_region(channel, region),
            link::DELETE if succeeded => self.table.remove_region(channel, region),
            _ => {}
        }
        Ok(Outcome::Complete(number, result))
    }

    fn close(&mut self, channel: u32) {
        self.table.remove(channel);
        self.silence(channel);
    }

    /// There is nobody to wake any more.
    fn silence(&mut self, channel: u32) {
        if let Some(doorbell) = self.doorbells.get_mut(channel as usize) {
            *doorbell = None;
        }
    }

    /// Whether a channel has lost its worker, and with it all that it had.
    fn is_lost(&self, channel: u32) -> bool {
        let doorbell = self.doorbells.get(channel as usize);
        self.table.has(channel) && doorbell.is_none_or(Option::is_none)
    }

    /// The eventfd that wakes a channel's worker; `None` where there is none.
    #[must_use]
    pub fn doorbell(&self, channel: u16) -> Option<&Arc<OwnedFd>> {
        self.doorbells.get(usize::from(channel))?.as_ref()
    }

    /// Wakes a channel's worker; nothing where there is none.
    pub fn ring(&self, channel: u16) {
        if let Some(doorbell) = self.doorbell(channel) {
            // A full one is rung already.
            let _ = rustix::io::write(doorbell, &1_u64.to_ne_bytes());
        }
    }
}

/// What became of a request at once.
enum Begun {
    Done(Option<u32>),
    Sent(Waiting),
}

const fn missing(missing: Missing) -> u16 {
    match missing {
        Missing::NotMemory => code::NOT_MEMORY,
        Missing::NotShared => code::NOT_SHARED,
    }
}
