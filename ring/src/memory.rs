//! Shared memory as the rings see it: atomic words, and nothing else.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::layout::Layout;

/// A 64-bit word that both sides may change at any time. It is a trait so that
/// a model checker can put words of its own in.
pub trait Word {
    /// Reads it.
    fn load(&self, order: Ordering) -> u64;
    /// Writes it.
    fn store(&self, value: u64, order: Ordering);
    /// Writes it; gives what it was.
    fn swap(&self, value: u64, order: Ordering) -> u64;
    /// Adds to it, wrapping; gives what it was.
    fn fetch_add(&self, value: u64, order: Ordering) -> u64;
    /// Orders what is before it against what is after it, for all words.
    fn fence(order: Ordering);
}

impl Word for AtomicU64 {
    #[inline]
    fn load(&self, order: Ordering) -> u64 {
        Self::load(self, order)
    }

    #[inline]
    fn store(&self, value: u64, order: Ordering) {
        Self::store(self, value, order);
    }

    #[inline]
    fn swap(&self, value: u64, order: Ordering) -> u64 {
        Self::swap(self, value, order)
    }

    #[inline]
    fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
        Self::fetch_add(self, value, order)
    }

    #[inline]
    fn fence(order: Ordering) {
        core::sync::atomic::fence(order);
    }
}

/// Memory that is shared with the other side. Clones are the same memory, and
/// its length never changes.
pub trait Memory: Clone {
    /// Its words.
    type Word: Word;

    /// All of it.
    fn words(&self) -> &[Self::Word];

    /// Copies bytes out. The other side may write meanwhile, so bytes may be
    /// old and new mixed: for data, never for what is parsed.
    /// Gives `false`, and copies nothing, where the range is not in the memory.
    #[must_use]
    fn read(&self, offset: usize, into: &mut [u8]) -> bool {
        let Some(words) = covering(self.words(), offset, into.len()) else {
            return false;
        };
        let mut at = offset % 8;
        let mut rest = into;
        for word in words {
            let bytes = word.load(Ordering::Relaxed).to_le_bytes();
            let part = (8 - at).min(rest.len());
            let (now, later) = rest.split_at_mut(part);
            now.copy_from_slice(&bytes[at..at + part]);
            (at, rest) = (0, later);
        }
        true
    }

    /// Copies bytes in. Bytes beside them in the same words may be written
    /// with the values that they had.
    /// Gives `false`, and copies nothing, where the range is not in the memory.
    #[must_use]
    fn write(&self, offset: usize, from: &[u8]) -> bool {
        let Some(words) = covering(self.words(), offset, from.len()) else {
            return false;
        };
        let mut at = offset % 8;
        let mut rest = from;
        for word in words {
            let part = (8 - at).min(rest.len());
            let (now, later) = rest.split_at(part);
            let mut bytes = match part {
                8 => [0; 8],
                _ => word.load(Ordering::Relaxed).to_le_bytes(),
            };
            bytes[at..at + part].copy_from_slice(now);
            word.store(u64::from_le_bytes(bytes), Ordering::Relaxed);
            (at, rest) = (0, later);
        }
        true
    }
}

/// The words that hold a range of bytes.
fn covering<W>(words: &[W], offset: usize, len: usize) -> Option<&[W]> {
    let end = offset.checked_add(len)?;
    words.get(offset / 8..end.div_ceil(8).max(offset / 8))
}

impl<W: Word> Memory for &[W] {
    type Word = W;

    #[inline]
    fn words(&self) -> &[W] {
        self
    }
}

/// The memory does not hold what the layout puts into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooSmall;

impl core::fmt::Display for TooSmall {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the slice is smaller than its layout")
    }
}

impl core::error::Error for TooSmall {}

/// A session's slice: memory that is large enough for its layout.
#[derive(Clone, Copy, Debug)]
pub struct Slice<M> {
    memory: M,
    layout: &'static Layout,
}

impl<M: Memory> Slice<M> {
    /// Takes memory for a slice.
    ///
    /// # Errors
    /// It is too small for the layout.
    pub fn new(memory: M, layout: &'static Layout) -> Result<Self, TooSmall> {
        match memory.words().len() * 8 >= layout.arena {
            true => Ok(Self { memory, layout }),
            false => Err(TooSmall),
        }
    }

    /// Where things are.
    #[inline]
    pub const fn layout(&self) -> &'static Layout {
        self.layout
    }

    /// The memory.
    #[inline]
    pub const fn memory(&self) -> &M {
        &self.memory
    }

    /// The word at an offset of the layout.
    #[inline(always)]
    pub(crate) fn word(&self, offset: usize) -> &M::Word {
        &self.memory.words()[offset / 8]
    }

    /// The words of a range of the layout.
    #[inline(always)]
    pub(crate) fn words(&self, offset: usize, len: usize) -> &[M::Word] {
        &self.memory.words()[offset / 8..(offset + len) / 8]
    }

    /// Bytes of commands that wait, by both sides' indices: whatever these are, no more than the ring has.
    pub fn queued(&self) -> u64 {
        let ring = self.layout.commands;
        let [tail, head] = [ring.tail, ring.head].map(|at| self.word(at).load(Ordering::Relaxed));
        tail.wrapping_sub(head).min(ring.size as u64)
    }

    /// The bytes of the arena.
    pub fn arena_size(&self) -> usize {
        self.memory.words().len() * 8 - self.layout.arena
    }

    /// Copies bytes out of the arena, as [`Memory::read`].
    #[must_use]
    pub fn arena_read(&self, offset: usize, into: &mut [u8]) -> bool {
        let at = offset.checked_add(self.layout.arena);
        at.is_some_and(|at| self.memory.read(at, into))
    }

    /// Copies bytes into the arena, as [`Memory::write`].
    #[must_use]
    pub fn arena_write(&self, offset: usize, from: &[u8]) -> bool {
        let at = offset.checked_add(self.layout.arena);
        at.is_some_and(|at| self.memory.write(at, from))
    }
}
