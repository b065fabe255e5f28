//! How messages reach the worker, and what both of them share beside the ring.

mod images;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use vgpu_cuda_wire::message::{Read, Synchronize};
use vgpu_cuda_wire::{Attribute, CUresult, Caller, Client, Hello, Words};
use vgpu_ring::guest::{Answers, Command, Commands};
use vgpu_ring::layout::{ARENA_PIECE, SESSION};
use vgpu_ring::{NO_SLOT, PushError, Reply, Slice};
use vgpu_trace::Reason;
use vgpu_transport::attachment::Attachment;
use vgpu_transport::{Lost, SpinFor, Transport};
use vgpu_window::Window;
use zerocopy::{FromBytes, IntoBytes};

use crate::lock::lock;
use crate::pointers::reserve;
use crate::printed::Printed;
use crate::trace;
use crate::{Done, rare};

/// Addresses for device memory: more than any device has.
const ADDRESSES: usize = 1 << 40;
/// What the lower half of them is for is the engine's affair; the upper half is this library's, for
/// what it maps.
const HALF: u64 = ADDRESSES as u64 / 2;
/// Bytes that travel in a record rather than in the arena.
const IN_RECORD: usize = 60 << 10;
/// Bytes that come in an answer.
pub(crate) const IN_ANSWER: usize = size_of::<Words>();

/// The way to the worker.
#[derive(Debug)]
pub(crate) struct Connection {
    transport: Attachment,
    commands: Mutex<Commands<Window>>,
    answers: Answers<Window>,
    /// A bit for each reply slot that is free.
    slots: AtomicU64,
    pieces: Mutex<Vec<Piece>>,
    printed: Printed,
    hello: Hello,
    /// The first address that is kept free for device memory.
    base: u64,
}

/// The state of a piece of the arena.
#[derive(Clone, Copy, Debug)]
enum Piece {
    Free,
    Used,
    /// Until the worker has done what was sent up to there.
    Until(u64),
}

impl Connection {
    pub(crate) fn open() -> Result<Self, CUresult> {
        let transport = Attachment::open().map_err(|error| {
            eprintln!("vgpu: {error}");
            CUresult::CUDA_ERROR_NO_DEVICE
        })?;
        let unknown = CUresult::CUDA_ERROR_UNKNOWN;
        let slice = Slice::new(transport.slice().clone(), &SESSION).map_err(|_| unknown)?;
        let pieces = slice.arena_size() / ARENA_PIECE;
        let mut connection = Self {
            commands: Mutex::new(Commands::new(slice.clone())),
            printed: Printed::new(slice.clone()),
            answers: Answers::new(slice),
            slots: AtomicU64::new(u64::MAX),
            pieces: Mutex::new(vec![Piece::Free; pieces]),
            hello: Hello::unknown(),
            base: reserve(ADDRESSES)?,
            transport,
        };
        let base = connection.base;
        let length = connection
            .client()
            .hello(0, ARENA_PIECE as u64, base, ADDRESSES as u64)?;
        let mut bytes = vec![0; size_of::<Hello>()];
        // A worker of another version says more, or less: what both know counts.
        let length = bytes
            .len()
            .min(usize::try_from(length).unwrap_or(usize::MAX));
        if !connection
            .answers
            .slice()
            .arena_read(0, &mut bytes[..length])
        {
            return Err(unknown);
        }
        connection.hello = Hello::read_from_bytes(&bytes).map_err(|_| unknown)?;
        trace::device(&connection.hello.name);
        Ok(connection)
    }

    /// The addresses that are kept free for device memory, from the first to the one behind the
    /// last: where the engine allocates, and where this library maps.
    pub(crate) const fn addresses(&self) -> [(u64, u64); 2] {
        let middle = self.base + HALF;
        [(self.base, middle), (middle, middle + HALF)]
    }

    /// What the device is.
    pub(crate) fn hello(&self) -> &Hello {
        &self.hello
    }

    /// Attributes of the device, from one on.
    #[inline]
    pub(crate) fn attributes<const N: usize>(&self, first: Attribute) -> [u32; N] {
        let first = first.0 as usize;
        std::array::from_fn(|n| {
            let value = self.hello.attributes.get(first + n);
            value.map_or(0, |value| value.cast_unsigned())
        })
    }

    /// Sends messages.
    pub(crate) fn client(&self) -> Client<&Self> {
        Client(self)
    }

    /// How more memory is shared.
    pub(crate) fn transport(&self) -> &Attachment {
        &self.transport
    }

    /// The session's fault, if there is one.
    #[inline]
    pub(crate) fn fault(&self) -> Done {
        match self.answers.fault() {
            None => Ok(()),
            Some((status, _)) => Err(rare(CUresult(status.cast_unsigned()))),
        }
    }

    /// Waits until the worker has reached a point where it waits for this process.
    ///
    /// # Errors
    /// The session's fault.
    pub(crate) fn reach(&self, point: u64) -> Done {
        let reached = self.answers.reach(point, &self.transport, SpinFor::GUEST);
        reached.map_err(|lost| self.lost(lost))?;
        self.fault()
    }

    /// Lets the worker go on from a point.
    pub(crate) fn release(&self, point: u64) {
        self.answers.release(point, &self.transport);
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
    #[inline(always)]
    fn push<const N: usize>(
        &self,
        op: u16,
        slot: u8,
        message: &[u64; N],
        data: &[u8],
    ) -> Result<u32, CUresult> {
        if !self.hello.knows(op) {
            return Err(rare(CUresult::CUDA_ERROR_NOT_SUPPORTED));
        }
        let command = Command {
            op,
            flags: 0,
            aux: data.len() as u32,
        };
        let mut commands = lock(&self.commands);
        let pushed = match self.try_push(&mut commands, command, slot, message, data) {
            Err(PushError::Full) => {
                self.push_when_there_is_room(&mut commands, command, slot, message, data)?
            }
            other => other,
        };
        let seq = pushed.map_err(|_| rare(CUresult::CUDA_ERROR_UNKNOWN))?;
        drop(commands);
        trace::message(op, size_of_val(message) + data.len());
        Ok(seq)
    }

    #[inline(always)]
    fn try_push(
        &self,
        commands: &mut Commands<Window>,
        command: Command,
        slot: u8,
        message: &[u64],
        data: &[u8],
    ) -> Result<u32, PushError> {
        match slot {
            NO_SLOT => commands.send(command, message, data, &self.transport),
            slot => commands.call(command, slot, message, data, &self.transport),
        }
    }

    #[cold]
    fn push_when_there_is_room(
        &self,
        commands: &mut Commands<Window>,
        command: Command,
        slot: u8,
        message: &[u64],
        data: &[u8],
    ) -> Result<Result<u32, PushError>, CUresult> {
        self.wait(Reason::Room, || {
            match self.try_push(commands, command, slot, message, data) {
                Err(PushError::Full) => None,
                other => Some(other),
            }
        })
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

    #[inline]
    fn answer<const N: usize, const M: usize>(
        &self,
        op: u16,
        message: &[u64; N],
        data: &[u8],
    ) -> Result<Reply<M>, CUresult> {
        let slot = self.take_slot();
        let reply = self
            .push(op, slot, message, data)
            .and_then(|seq| self.wait(Reason::Answer, || self.answers.poll_first(slot, seq)));
        self.give_slot(slot);
        reply
    }

    /// Shows what kernels printed.
    #[inline]
    fn show_printed(&self) -> Done {
        self.printed.show(&self.answers, || {
            let reply = self.answer::<_, 0>(Synchronize::OP, &Synchronize {}.encode(), &[])?;
            status(&reply)
        })
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

    /// Fetches bytes of device memory.
    #[inline]
    pub(crate) fn download(&self, source: u64, stream: u64, bytes: &mut [u8]) -> Done {
        match bytes.len() {
            // It waits for nothing.
            0 => Ok(()),
            size @ 1..=IN_ANSWER if self.hello.knows(Read::OP) => {
                let words = self.client().read(source, stream, size as u64)?;
                bytes.copy_from_slice(&words.as_bytes()[..size]);
                Ok(())
            }
            _ => self.download_by_arena(source, stream, bytes),
        }
    }

    fn download_by_arena(&self, source: u64, stream: u64, bytes: &mut [u8]) -> Done {
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

impl Caller for &Connection {
    type Error = CUresult;

    #[inline(always)]
    fn send<const N: usize>(&self, op: u16, message: &[u64; N], data: &[u8]) -> Done {
        self.fault()?;
        self.push(op, NO_SLOT, message, data).map(|_| ())
    }

    #[inline]
    fn call<const N: usize, const M: usize>(
        &self,
        op: u16,
        message: &[u64; N],
        data: &[u8],
    ) -> Result<[u64; M], CUresult> {
        let answered = self.fault().and_then(|()| self.answer(op, message, data));
        // Also of a kernel that failed.
        let shown = self.show_printed();
        let reply = answered?;
        self.fault()?;
        status(&reply)?;
        shown?;
        Ok(reply.words)
    }
}

/// What an answer says of the call.
#[inline]
fn status<const N: usize>(reply: &Reply<N>) -> Done {
    match reply.status {
        0 => Ok(()),
        status => Err(rare(CUresult(status.cast_unsigned()))),
    }
}
