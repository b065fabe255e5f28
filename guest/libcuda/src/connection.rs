//! How messages reach the worker, and what both of them share beside the ring.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use vgpu_cuda_wire::message::{Read, Synchronize};
use vgpu_cuda_wire::{Attribute, CUresult, Caller, Client, Hello, ModuleDescription, Words, words};
use vgpu_ring::guest::{Answers, Command, Commands};
use vgpu_ring::layout::{ARENA_PIECE, SESSION};
use vgpu_ring::{Memory, NO_SLOT, PushError, Reply, Slice};
use vgpu_trace::Reason;
use vgpu_transport::attachment::Attachment;
use vgpu_transport::{Lost, SpinFor, Transport};
use vgpu_window::Window;
use zerocopy::{FromBytes, IntoBytes};

use crate::Done;
use crate::lock::lock;
use crate::pointers::{Logs, reserve};
use crate::printed::Printed;
use crate::trace;

/// Addresses for device memory: more than any device has.
const ADDRESSES: usize = 1 << 40;
/// What the lower half of them is for is the engine's affair; the upper half is this library's, for
/// what it maps.
const HALF: u64 = ADDRESSES as u64 / 2;
/// Bytes that travel in a record rather than in the arena.
const IN_RECORD: usize = 60 << 10;

/// The longest description of a module that is believed.
const MOST_DESCRIBED: usize = 64 << 20;
/// The longest linked image that is believed.
const MOST_LINKED: usize = 256 << 20;

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
            Some((status, _)) => Err(CUresult(status.cast_unsigned())),
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
    fn push<const N: usize>(
        &self,
        op: u16,
        slot: u8,
        message: &[u64; N],
        data: &[u8],
    ) -> Result<u32, CUresult> {
        if !self.hello.knows(op) {
            return Err(CUresult::CUDA_ERROR_NOT_SUPPORTED);
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
        let seq = pushed.map_err(|_| CUresult::CUDA_ERROR_UNKNOWN)?;
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

    fn answer<const N: usize>(
        &self,
        op: u16,
        message: &[u64; N],
        data: &[u8],
    ) -> Result<Reply, CUresult> {
        let slot = self.take_slot();
        let reply = self
            .push(op, slot, message, data)
            .and_then(|seq| self.wait(Reason::Answer, || self.answers.poll(slot, seq)));
        self.give_slot(slot);
        reply
    }

    /// Shows what kernels printed.
    #[inline]
    fn show_printed(&self) -> Done {
        self.printed.show(&self.answers, || {
            let reply = self.answer(Synchronize::OP, &Synchronize {}.encode(), &[])?;
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

    /// Shares an image for as long as `work` takes, which gets its region, offset
    /// and size.
    fn with_image<T>(
        &self,
        image: &[u8],
        work: impl FnOnce(u32, u64, u64) -> Result<T, CUresult>,
    ) -> Result<T, CUresult> {
        self.with_shared(image.len(), |region, offset, memory, place| {
            let copied = memory.write(place, image);
            debug_assert!(copied, "there is room");
            work(region, offset, image.len() as u64)
        })
    }

    /// Fetches so many bytes, which `work` has written to a region and an offset.
    fn fetch(
        &self,
        length: u64,
        most: usize,
        work: impl FnOnce(u32, u64, u64) -> Done,
    ) -> Result<Vec<u8>, CUresult> {
        let known = usize::try_from(length).ok().filter(|&known| known <= most);
        let size = known.ok_or(CUresult::CUDA_ERROR_UNKNOWN)?;
        self.with_shared(size, |region, offset, memory, place| {
            work(region, offset, length)?;
            let mut bytes = vec![0; size];
            let copied = memory.read(place, &mut bytes);
            debug_assert!(copied, "it is there");
            Ok(bytes)
        })
    }

    /// Loads an image; gives the module's number and what is in it.
    pub(crate) fn load(&self, number: u64, image: &[u8]) -> Result<ModuleDescription, CUresult> {
        let client = self.client();
        let length = self.with_image(image, |region, offset, size| {
            client.module_load(number, region, offset, size)
        })?;
        let bytes = self.fetch(length, MOST_DESCRIBED, |region, offset, size| {
            client.module_describe(number, region, offset, size)
        });
        let described = bytes.and_then(|bytes| {
            ModuleDescription::decode(&bytes).ok_or(CUresult::CUDA_ERROR_UNKNOWN)
        });
        if described.is_err() {
            let _ = client.module_unload(number);
        }
        described
    }

    /// Adds an image to a link.
    pub(crate) fn link_add(&self, link: u64, kind: u32, image: &[u8], name: &[u8]) -> Done {
        // A name that is longer is cut off: it is for messages alone.
        let name = &name[..name.len().min(IN_RECORD)];
        self.with_image(image, |region, offset, size| {
            self.client()
                .link_add(link, kind, region, offset, size, name)
        })
    }

    /// The image of all that was added to a link.
    pub(crate) fn link_complete(&self, link: u64) -> Result<Vec<u8>, CUresult> {
        let length = self.client().link_complete(link)?;
        self.fetch(length, MOST_LINKED, |region, offset, size| {
            self.client().link_image(link, region, offset, size)
        })
    }

    /// Writes to a program's logs why an image was refused, or nothing.
    pub(crate) fn tell<T>(&self, logs: &Logs, done: Result<T, CUresult>) -> Result<T, CUresult> {
        let room = logs.room().min(ARENA_PIECE);
        let mut text = Vec::new();
        if done.is_err() && room > 0 {
            // There may be none, where it was not the image.
            let _ = self.with_shared(room, |region, offset, memory, place| {
                let length = self.client().refusal(region, offset, room as u64)?;
                text.resize(room.min(usize::try_from(length).unwrap_or(room)), 0);
                let copied = memory.read(place, &mut text);
                debug_assert!(copied, "it is there");
                Ok(())
            });
        }
        logs.write(&text);
        done
    }

    /// Fetches bytes of device memory.
    pub(crate) fn download(&self, source: u64, stream: u64, bytes: &mut [u8]) -> Done {
        // Of no bytes, it waits for nothing.
        if bytes.is_empty() {
            return Ok(());
        }
        if bytes.len() <= size_of::<Words>() && self.hello.knows(Read::OP) {
            let words = self.client().read(source, stream, bytes.len() as u64)?;
            bytes.copy_from_slice(&words.as_bytes()[..bytes.len()]);
            return Ok(());
        }
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

    #[inline]
    fn send<const N: usize>(&self, op: u16, message: &[u64; N], data: &[u8]) -> Done {
        self.fault()?;
        self.push(op, NO_SLOT, message, data).map(|_| ())
    }

    fn call<const N: usize>(
        &self,
        op: u16,
        message: &[u64; N],
        data: &[u8],
    ) -> Result<Words, CUresult> {
        let answered = self.fault().and_then(|()| self.answer(op, message, data));
        // Also of a kernel that failed.
        let shown = self.show_printed();
        let reply = answered?;
        self.fault()?;
        status(&reply)?;
        shown?;
        Ok(words(reply.inline()))
    }
}

/// What an answer says of the call.
#[inline]
fn status(reply: &Reply) -> Done {
    match reply.status {
        0 => Ok(()),
        status => Err(CUresult(status.cast_unsigned())),
    }
}
