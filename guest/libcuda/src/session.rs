//! The process's session: how messages reach the worker, and what both of them
//! share beside the ring.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use vgpu_cuda_wire::{CUresult, Caller, Client, Hello, ModuleDescription, Words, words};
use vgpu_ring::guest::{Answers, Command, Commands};
use vgpu_ring::layout::{ARENA_PIECE, SESSION};
use vgpu_ring::{Memory, NO_SLOT, PushError, Reply, Slice};
use vgpu_trace::Reason;
use vgpu_transport::local::{Local, Name, VARIABLE};
use vgpu_transport::{Error, Lost, SpinFor, Transport};
use vgpu_window::Window;
use zerocopy::FromBytes;

use crate::Done;
use crate::allocations::Allocations;
use crate::contexts::Contexts;
use crate::modules::Modules;
use crate::pointers::{ForkMark, reserve};
use crate::trace;

/// Addresses for device memory: more than any device has.
const ADDRESSES: usize = 1 << 40;
/// Bytes that travel in a record rather than in the arena.
const IN_RECORD: usize = 60 << 10;

/// The longest description of a module that is believed.
const MOST_DESCRIBED: usize = 64 << 20;

static SESSION_OF_PROCESS: OnceLock<Result<Session, CUresult>> = OnceLock::new();
static MARK: ForkMark = ForkMark::new();

/// A session with the worker.
#[derive(Debug)]
pub(crate) struct Session {
    transport: Local,
    commands: Mutex<Commands<Window>>,
    answers: Answers<Window>,
    /// A bit for each reply slot that is free.
    slots: AtomicU64,
    pieces: Mutex<Vec<Piece>>,
    hello: Hello,
    pub(crate) allocations: Allocations<Window>,
    pub(crate) contexts: Contexts,
    pub(crate) modules: Modules,
}

/// The state of a piece of the arena.
#[derive(Clone, Copy, Debug)]
enum Piece {
    Free,
    Used,
    /// Until the worker has done what was sent up to there.
    Until(u64),
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Opens the process's session, where it has none.
pub(crate) fn open() -> Done {
    let session = SESSION_OF_PROCESS.get_or_init(Session::open);
    session.as_ref().map(|_| ()).map_err(|error| *error)?;
    // A child of fork has its parent's session, and may not use it.
    mine()
}

fn mine() -> Done {
    match MARK.is_set() {
        true => Ok(()),
        false => Err(CUresult::CUDA_ERROR_NOT_INITIALIZED),
    }
}

/// The process's session.
pub(crate) fn session() -> Result<&'static Session, CUresult> {
    mine()?;
    match SESSION_OF_PROCESS.get() {
        Some(Ok(session)) => Ok(session),
        _ => Err(CUresult::CUDA_ERROR_NOT_INITIALIZED),
    }
}

fn local() -> Result<Local, Error> {
    let name = Name::from_environment()?;
    let missing = || Error::NoDaemon {
        name: format!("${VARIABLE} (not set)"),
        cause: rustix::io::Errno::NOENT,
    };
    Local::open(name.ok_or_else(missing)?)
}

impl Session {
    fn open() -> Result<Self, CUresult> {
        let transport = local().map_err(|error| {
            eprintln!("vgpu: {error}");
            CUresult::CUDA_ERROR_NO_DEVICE
        })?;
        let unknown = CUresult::CUDA_ERROR_UNKNOWN;
        let slice = Slice::new(transport.slice().clone(), &SESSION).map_err(|_| unknown)?;
        let pieces = slice.arena_size() / ARENA_PIECE;
        let mut session = Self {
            commands: Mutex::new(Commands::new(slice.clone())),
            answers: Answers::new(slice),
            slots: AtomicU64::new(u64::MAX),
            pieces: Mutex::new(vec![Piece::Free; pieces]),
            hello: Hello::unknown(),
            allocations: Allocations::default(),
            contexts: Contexts::default(),
            modules: Modules::default(),
            transport,
        };
        let base = reserve(ADDRESSES)?;
        let length = session
            .client()
            .hello(0, ARENA_PIECE as u64, base, ADDRESSES as u64)?;
        let mut bytes = vec![0; size_of::<Hello>()];
        // A worker of another version says more, or less: what both know counts.
        let length = bytes
            .len()
            .min(usize::try_from(length).unwrap_or(usize::MAX));
        if !session.answers.slice().arena_read(0, &mut bytes[..length]) {
            return Err(unknown);
        }
        session.hello = Hello::read_from_bytes(&bytes).map_err(|_| unknown)?;
        trace::device(&session.hello.name);
        MARK.set()?;
        Ok(session)
    }

    /// What the device is.
    pub(crate) fn hello(&self) -> &Hello {
        &self.hello
    }

    /// Sends messages.
    pub(crate) fn client(&self) -> Client<&Self> {
        Client(self)
    }

    /// How more memory is shared.
    pub(crate) fn transport(&self) -> &Local {
        &self.transport
    }

    /// The session's fault, if there is one.
    fn fault(&self) -> Done {
        match self.answers.fault() {
            None => Ok(()),
            Some((status, _)) => Err(CUresult(status.cast_unsigned())),
        }
    }

    fn lost(&self, _: Lost) -> CUresult {
        match self.fault() {
            Err(unknown @ CUresult::CUDA_ERROR_UNKNOWN) => unknown,
            _ => CUresult::CUDA_ERROR_DEVICE_UNAVAILABLE,
        }
    }

    /// Waits until there is something.
    fn wait<T>(&self, reason: Reason, mut ready: impl FnMut() -> Option<T>) -> Result<T, CUresult> {
        if let Some(found) = ready() {
            return Ok(found);
        }
        let waited = trace::wait(&self.transport, reason, |park| {
            self.answers.wait(park, SpinFor::GUEST, ready)
        });
        waited.map_err(|lost| self.lost(lost))
    }

    /// Sends a record, where need be when there is room. An operation that the
    /// worker does not know would end the session.
    fn push(&self, op: u16, slot: u8, message: &[u8], data: &[u8]) -> Result<u32, CUresult> {
        if !self.hello.knows(op) {
            return Err(CUresult::CUDA_ERROR_NOT_SUPPORTED);
        }
        let mut commands = lock(&self.commands);
        let command = Command {
            op,
            flags: 0,
            aux: 0,
        };
        let mut push = || match slot {
            NO_SLOT => commands.send(command, message, data, &self.transport),
            slot => commands.call(command, slot, message, data, &self.transport),
        };
        let pushed = match push() {
            Err(PushError::Full) => self.wait(Reason::Room, || match push() {
                Err(PushError::Full) => None,
                other => Some(other),
            })?,
            other => other,
        };
        let seq = pushed.map_err(|_| CUresult::CUDA_ERROR_UNKNOWN)?;
        trace::message(op, message.len() + data.len());
        Ok(seq)
    }

    /// A reply slot of this thread's own, until it is given back.
    fn take_slot(&self) -> u8 {
        loop {
            let free = self.slots.load(Ordering::Relaxed);
            let slot = free.trailing_zeros();
            if slot == u64::BITS {
                // As many threads wait as there are slots.
                std::thread::yield_now();
                continue;
            }
            let bit = 1 << slot;
            if self.slots.fetch_and(!bit, Ordering::Acquire) & bit != 0 {
                return slot as u8;
            }
        }
    }

    fn give_slot(&self, slot: u8) {
        self.slots.fetch_or(1 << slot, Ordering::Release);
    }

    fn answer(&self, op: u16, message: &[u8], data: &[u8]) -> Result<Reply, CUresult> {
        let slot = self.take_slot();
        let reply = self
            .push(op, slot, message, data)
            .and_then(|seq| self.wait(Reason::Answer, || self.answers.poll(slot, seq)));
        self.give_slot(slot);
        reply
    }

    /// A piece of the arena: its number.
    fn take_piece(&self) -> Result<usize, CUresult> {
        self.wait(Reason::Arena, || {
            let mut pieces = lock(&self.pieces);
            let commands = lock(&self.commands);
            let free = pieces.iter().position(|piece| match *piece {
                Piece::Free => true,
                Piece::Used => false,
                Piece::Until(position) => commands.consumed(position),
            })?;
            pieces[free] = Piece::Used;
            Some(free)
        })
    }

    fn give_piece(&self, piece: usize, sent: bool) {
        let position = lock(&self.commands).position();
        lock(&self.pieces)[piece] = match sent {
            true => Piece::Until(position),
            false => Piece::Free,
        };
    }

    /// Sends bytes to device memory; they may change afterwards.
    pub(crate) fn upload(&self, destination: u64, stream: u64, bytes: &[u8]) -> Done {
        if bytes.len() <= IN_RECORD {
            return self.client().write(destination, stream, bytes);
        }
        for (n, part) in bytes.chunks(ARENA_PIECE).enumerate() {
            let piece = self.take_piece()?;
            let offset = piece * ARENA_PIECE;
            let copied = self.answers.slice().arena_write(offset, part);
            debug_assert!(copied, "a piece is in the arena");
            let to = destination + (n * ARENA_PIECE) as u64;
            let (offset, size) = (offset as u64, part.len() as u64);
            let sent = self.client().write_from(to, stream, 0, offset, size);
            self.give_piece(piece, true);
            sent?;
        }
        Ok(())
    }

    /// Shared memory for so many bytes, for as long as `work` takes: a region's
    /// number and an offset in it, with what reads and writes there.
    fn with_shared<T>(
        &self,
        size: usize,
        work: impl FnOnce(u32, u64, &Window, usize) -> Result<T, CUresult>,
    ) -> Result<T, CUresult> {
        if size <= ARENA_PIECE {
            let piece = self.take_piece()?;
            let offset = piece * ARENA_PIECE;
            let slice = self.answers.slice();
            let in_slice = slice.layout().arena + offset;
            let done = work(0, offset as u64, slice.memory(), in_slice);
            self.give_piece(piece, false);
            return done;
        }
        let full = |_| CUresult::CUDA_ERROR_OUT_OF_MEMORY;
        let region = self
            .transport
            .add_region(size.next_multiple_of(4096))
            .map_err(full)?;
        let done = work(region.id, 0, &region.memory, 0);
        let removed = self.transport.remove_region(region.id);
        removed
            .map_err(|_| CUresult::CUDA_ERROR_DEVICE_UNAVAILABLE)
            .and(done)
    }

    /// Loads an image; gives the module's number and what is in it.
    pub(crate) fn load(&self, number: u64, image: &[u8]) -> Result<ModuleDescription, CUresult> {
        let unknown = CUresult::CUDA_ERROR_UNKNOWN;
        let length = self.with_shared(image.len(), |region, offset, memory, place| {
            let copied = memory.write(place, image);
            debug_assert!(copied, "there is room");
            let size = image.len() as u64;
            self.client().module_load(number, region, offset, size)
        })?;
        let length = usize::try_from(length)
            .ok()
            .filter(|&length| length <= MOST_DESCRIBED);
        let length = length.ok_or(unknown)?;
        self.with_shared(length, |region, offset, memory, place| {
            let client = self.client();
            client.module_describe(number, region, offset, length as u64)?;
            let mut bytes = vec![0; length];
            let copied = memory.read(place, &mut bytes);
            debug_assert!(copied, "it is there");
            ModuleDescription::decode(&bytes).ok_or(unknown)
        })
    }

    /// Fetches bytes of device memory.
    pub(crate) fn download(&self, source: u64, stream: u64, bytes: &mut [u8]) -> Done {
        for (n, part) in bytes.chunks_mut(ARENA_PIECE).enumerate() {
            let piece = self.take_piece()?;
            let offset = piece * ARENA_PIECE;
            let from = source + (n * ARENA_PIECE) as u64;
            let (at, size) = (offset as u64, part.len() as u64);
            let fetched = self.client().read_into(from, stream, 0, at, size);
            let copied = fetched.is_ok() && self.answers.slice().arena_read(offset, part);
            self.give_piece(piece, false);
            fetched?;
            debug_assert!(copied, "a piece is in the arena");
        }
        Ok(())
    }
}

impl Caller for &Session {
    type Error = CUresult;

    #[inline]
    fn send(&self, op: u16, message: &[u8], data: &[u8]) -> Done {
        self.push(op, NO_SLOT, message, data).map(|_| ())
    }

    #[inline]
    fn call(&self, op: u16, message: &[u8], data: &[u8]) -> Result<Words, CUresult> {
        let reply = self.answer(op, message, data)?;
        self.fault()?;
        match reply.status {
            0 => Ok(words(reply.inline())),
            status => Err(CUresult(status.cast_unsigned())),
        }
    }
}
