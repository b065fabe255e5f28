//! What a driver asks for, and what the daemon says.

mod away;

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use vgpu_abi::bar0::CHANNELS;
use vgpu_abi::link::{self, Message};
use vgpu_abi::mailbox::code;
use vgpu_abi::segment::{PAGE, PIECES_MAX};
use vgpu_device::{HostState, Request, Task};

use crate::daemon::{Daemon, Outcome, Way};
use crate::directory::{Bounds, resolve};
use crate::limits::{Limits, refused};
use crate::memory::{GuestMemory, Missing, Shared};
use crate::table::{Region, Table};
use crate::ways::{Away, Ways};

/// A command that the daemon works on.
#[derive(Debug)]
struct Waiting {
    number: u32,
    /// What the guest wants.
    kind: u32,
    channel: u32,
    region: u32,
    /// What is to be answered by the daemon.
    asked: u32,
    /// Whether another daemon was asked before, which may have done it.
    again: bool,
}

impl Waiting {
    /// Whether the guest gives everything up.
    fn stops(&self) -> bool {
        self.kind == link::RESET
    }
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
    page: Option<Shared>,
    waiting: Option<Waiting>,
    /// Resets that the daemon has not done yet: what it says of before them is of no interest.
    resets: u32,
    /// Number of the last revocation.
    revoked: u32,
    ways: Ways,
    away: Option<Away>,
    /// Whether all is lost, and the device is to be told once no worker is left.
    lost: bool,
    /// What is to be told next.
    news: VecDeque<Outcome>,
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
            page: None,
            waiting: None,
            resets: 0,
            revoked: 0,
            ways: Ways::default(),
            away: None,
            lost: false,
            news: VecDeque::new(),
        }
    }

    /// Whether nothing of the guest's is held by anybody.
    #[must_use]
    pub fn are_given_up(&self) -> bool {
        self.resets == 0 && self.holds_nothing() && !self.ways.are_ending()
    }

    /// Whether no channel is open, nor about to be: the device can be saved.
    #[must_use]
    pub fn holds_nothing(&self) -> bool {
        self.table.is_empty() && self.page.is_none() && self.waiting.is_none()
    }

    /// The guest asks for something. What the daemon has to do is answered later.
    pub fn request(&mut self, request: Request, memory: &dyn GuestMemory) -> Option<Outcome> {
        let done = |result| Some(Outcome::Complete(request.number, result));
        let may = self.ready || (self.is_away() && gives_up(&request.task));
        if self.waiting.is_some() || self.resets > 0 || !may {
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
                if self.page.is_some() || !page.is_multiple_of(PAGE) {
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
                let begun = self.ask(request.number, message, &shared, &[])?;
                self.page = Some(shared);
                Ok(begun)
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
            // A worker that no daemon took ends; it is told when it has.
            Task::Close { channel } if self.ways.ends(channel) => Err(code::HOST),
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
        // Without a daemon, the next one is asked.
        if !self.is_away() {
            self.send(&message, shared, events)
                .map_err(|_| code::HOST)?;
        }
        Ok(Begun::Sent(Waiting {
            number,
            kind: message.kind,
            channel: message.channel,
            region: message.region,
            asked: message.kind,
            again: false,
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

    /// The daemon says something, with the way back to a channel's worker where it is open. A message that makes no sense is
    /// the end of the link, as `Err`.
    ///
    /// # Errors
    ///
    /// The daemon breaks the protocol.
    pub fn received(
        &mut self,
        message: &Message,
        way: Option<Box<dyn Way>>,
    ) -> Result<Option<Outcome>, Errno> {
        match message.kind {
            link::STATE if self.is_away() => self.adopt(message.status == 1),
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
                match sent {
                    Ok(()) => Ok(None),
                    Err(_) => Ok(self.disconnected()),
                }
            }
            link::DONE if message.of == link::RESET && self.resets > 0 => {
                self.resets = self.resets.saturating_sub(1);
                let last = self.resets == 0;
                if last {
                    self.ways.ended();
                    self.lost = false;
                }
                Ok(last.then(|| self.state()))
            }
            // Of what was asked for before a reset.
            link::DONE | link::LOST if self.resets > 0 => Ok(None),
            link::DONE if message.of == link::ADOPT => self.adopted(message),
            // The page, of which this daemon is told before it adopts.
            link::DONE if message.of == link::PAGE && self.is_away() => {
                if message.status != 0 {
                    self.page = None;
                }
                Ok(None)
            }
            link::DONE => self.done(message, way).map(Some),
            link::LOST if message.channel < CHANNELS.into() => {
                self.ways.forget(message.channel);
                // The driver still has to close it: only then is the number another's.
                self.silence(message.channel);
                Ok(self.table.has(message.channel).then_some(Outcome::Lost))
            }
            _ => Err(Errno::PROTO),
        }
    }

    fn done(&mut self, message: &Message, way: Option<Box<dyn Way>>) -> Result<Outcome, Errno> {
        let asked = |it: &mut Waiting| {
            (it.asked, it.channel, it.region) == (message.of, message.channel, message.region)
        };
        let waiting = self.waiting.take_if(asked).ok_or(Errno::PROTO)?;
        let Waiting {
            number,
            kind,
            channel,
            region,
            again,
            ..
        } = waiting;
        let absent = message.status == Errno::NOENT.raw_os_error().unsigned_abs();
        // What another daemon has done already is not there; what it was to add is taken back.
        let succeeded = (message.status == 0 || again && absent) && !(again && kind == link::ADD);
        let result = match (kind, succeeded) {
            (link::OPEN, true) => Ok(Some(channel)),
            (link::ADD, true) => Ok(Some(region)),
            (_, true) => Ok(None),
            (_, false) => Err(refused(message.status)),
        };
        match kind {
            link::RESET if succeeded => {
                self.forget();
                self.ways.ended();
            }
            link::PAGE if !succeeded => self.page = None,
            link::OPEN if succeeded => {
                if let Some(way) = way {
                    self.ways.keep(channel, way);
                }
            }
            link::OPEN if !succeeded => self.close(channel),
            link::CLOSE if succeeded => self.close(channel),
            link::ADD if !succeeded => self.table.remove_region(channel, region),
            link::DELETE if succeeded => self.table.remove_region(channel, region),
            _ => {}
        }
        Ok(Outcome::Complete(number, result))
    }

    fn close(&mut self, channel: u32) {
        self.ways.forget(channel);
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

/// Whether a task asks for nothing that a daemon has to do at once, and need not fail while there is none.
const fn gives_up(task: &Task) -> bool {
    matches!(
        task,
        Task::Close { .. } | Task::Delete { .. } | Task::Look { .. }
    )
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
