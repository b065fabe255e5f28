use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use zerocopy::FromZeros;

/// Locks for atomic operations on 64 bits, by address.
static PAIRS: [Mutex<()>; 64] = [const { Mutex::new(()) }; 64];

/// One allocation: zeros at first.
///
/// Offsets are in bytes from its start. What lies outside reads as 0 and is
/// not written: [`View::find`](crate::View::find) is what refuses it.
pub struct Allocation {
    base: u64,
    size: u64,
    words: Box<[AtomicU32]>,
}

impl std::fmt::Debug for Allocation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#x}+{:#x}", self.base, self.size)
    }
}

impl Allocation {
    /// `size` bytes that answer at `base`; `None` where the process has no memory left.
    pub(crate) fn new(base: u64, size: u64) -> Option<Self> {
        let words = usize::try_from(size.div_ceil(4)).ok()?;
        Some(Self {
            base,
            size,
            words: <[AtomicU32]>::new_box_zeroed_with_elems(words).ok()?,
        })
    }

    /// The same bytes at another address.
    pub(crate) fn at(self, base: u64) -> Self {
        Self { base, ..self }
    }

    /// Its first address.
    #[inline]
    #[must_use]
    pub fn base(&self) -> u64 {
        self.base
    }

    /// Its length in bytes.
    #[inline]
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    #[inline]
    fn word(&self, offset: u64) -> Option<&AtomicU32> {
        self.words.get(usize::try_from(offset >> 2).ok()?)
    }

    /// 32 bits at `offset`, a multiple of 4.
    #[inline]
    #[must_use]
    pub fn load_32(&self, offset: u64) -> u32 {
        self.word(offset).map_or(0, |word| word.load(Relaxed))
    }

    /// Writes 32 bits at `offset`, a multiple of 4.
    #[inline]
    pub fn store_32(&self, offset: u64, value: u32) {
        if let Some(word) = self.word(offset) {
            word.store(value, Relaxed);
        }
    }

    /// `size` bytes (1, 2, 4, 8) at `offset`, a multiple of it. Eight bytes are
    /// read as two words.
    #[inline]
    #[must_use]
    pub fn load(&self, offset: u64, size: u8) -> u64 {
        let shift = u32::try_from((offset & 3) << 3).unwrap_or(0);
        let word = self.load_32(offset);
        match size {
            1 => u64::from((word >> shift) & 0xff),
            2 => u64::from((word >> shift) & 0xffff),
            4 => u64::from(word),
            _ => u64::from(word) | u64::from(self.load_32(offset.saturating_add(4))) << 32,
        }
    }

    /// Writes the low `size` bytes (1, 2, 4, 8) of `value` at `offset`, a
    /// multiple of it. Eight bytes are written as two words.
    #[inline]
    pub fn store(&self, offset: u64, size: u8, value: u64) {
        match size {
            1 | 2 => {
                let shift = (offset & 3) << 3;
                let mask = if size == 1 { 0xff } else { 0xffff };
                let (mask, value) = (mask << shift, (value & mask) << shift);
                let (mask, value) = (low(mask), low(value));
                self.update_32(offset, |old| old & !mask | value);
            }
            4 => self.store_32(offset, low(value)),
            _ => {
                self.store_32(offset, low(value));
                self.store_32(offset.saturating_add(4), low(value >> 32));
            }
        }
    }

    /// The words from `offset` on, a multiple of 4: what neighbouring lanes load.
    #[inline(always)]
    pub fn load_words(&self, offset: u64, to: &mut [u32]) {
        let first = usize::try_from(offset >> 2).unwrap_or(usize::MAX);
        let words = self.words.get(first..).unwrap_or_default();
        for (to, word) in to.iter_mut().zip(words) {
            *to = word.load(Relaxed);
        }
    }

    /// Writes the words from `offset` on, a multiple of 4.
    #[inline(always)]
    pub fn store_words(&self, offset: u64, from: &[u32]) {
        let first = usize::try_from(offset >> 2).unwrap_or(usize::MAX);
        let words = self.words.get(first..).unwrap_or_default();
        for (from, word) in from.iter().zip(words) {
            word.store(*from, Relaxed);
        }
    }

    /// The `N` words from `offset` on, a multiple of 4, all of which it has.
    #[inline(always)]
    pub fn load_row<const N: usize>(&self, offset: u64, to: &mut [u32; N]) {
        if let Some(words) = self.row::<N>(offset) {
            vgpu_racing_copy::load(words, to);
        }
    }

    /// Writes the `N` words from `offset` on, a multiple of 4, all of which it has.
    #[inline(always)]
    pub fn store_row<const N: usize>(&self, offset: u64, from: &[u32; N]) {
        if let Some(words) = self.row::<N>(offset) {
            vgpu_racing_copy::store(from, words);
        }
    }

    /// A number of words that is known makes a copy without a loop.
    #[inline(always)]
    fn row<const N: usize>(&self, offset: u64) -> Option<&[AtomicU32; N]> {
        let first = usize::try_from(offset >> 2).ok()?;
        self.words.get(first..)?.first_chunk()
    }

    /// Replaces the 32 bits at `offset`, a multiple of 4, by `f` of them, as one
    /// step; what was there.
    #[inline]
    pub fn update_32(&self, offset: u64, f: impl Fn(u32) -> u32) -> u32 {
        let Some(word) = self.word(offset) else {
            return 0;
        };
        let update = word.fetch_update(Relaxed, Relaxed, |old| Some(f(old)));
        update.unwrap_or_else(|old| old)
    }

    /// Adds to the 32 bits at `offset`, wrapping; what was there.
    #[inline]
    pub fn add_32(&self, offset: u64, value: u32) -> u32 {
        self.word(offset)
            .map_or(0, |word| word.fetch_add(value, Relaxed))
    }

    /// As [`update_32`](Self::update_32) for 64 bits at a multiple of 8. One step
    /// as seen by others of its kind, two as seen by plain loads and stores.
    pub fn update_64(&self, offset: u64, f: impl Fn(u64) -> u64) -> u64 {
        let index = usize::try_from((offset >> 3) % 64).unwrap_or(0);
        // What the lock guards is outside it, and whole after each store.
        let _guard = PAIRS.get(index).map(|lock| {
            lock.lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
        });
        let old = self.load(offset, 8);
        self.store(offset, 8, f(old));
        old
    }

    /// Copies bytes out, from `offset` on.
    pub fn read(&self, offset: u64, to: &mut [u8]) {
        let mut offset = offset;
        let head = head(offset, to.len());
        let (first, rest) = to.split_at_mut_checked(head).unwrap_or_default();
        for byte in first {
            *byte = low_byte(self.load(offset, 1));
            offset = offset.saturating_add(1);
        }
        let mut chunks = rest.chunks_exact_mut(4);
        let from = usize::try_from(offset >> 2).unwrap_or(usize::MAX);
        let words = self.words.get(from..).unwrap_or_default();
        for (chunk, word) in chunks.by_ref().zip(words) {
            chunk.copy_from_slice(&word.load(Relaxed).to_le_bytes());
            offset = offset.saturating_add(4);
        }
        for byte in chunks.into_remainder() {
            *byte = low_byte(self.load(offset, 1));
            offset = offset.saturating_add(1);
        }
    }

    /// Copies bytes in, from `offset` on.
    pub fn write(&self, offset: u64, from: &[u8]) {
        let mut offset = offset;
        let head = head(offset, from.len());
        let (first, rest) = from.split_at_checked(head).unwrap_or_default();
        for byte in first {
            self.store(offset, 1, u64::from(*byte));
            offset = offset.saturating_add(1);
        }
        let mut chunks = rest.chunks_exact(4);
        let start = usize::try_from(offset >> 2).unwrap_or(usize::MAX);
        let words = self.words.get(start..).unwrap_or_default();
        for (chunk, word) in chunks.by_ref().zip(words) {
            word.store(
                u32::from_le_bytes(chunk.try_into().unwrap_or_default()),
                Relaxed,
            );
            offset = offset.saturating_add(4);
        }
        for byte in chunks.remainder() {
            self.store(offset, 1, u64::from(*byte));
            offset = offset.saturating_add(1);
        }
    }
}

/// Bytes ahead of the first whole word.
fn head(offset: u64, length: usize) -> usize {
    let head = offset.wrapping_neg() & 3;
    usize::try_from(head).unwrap_or(0).min(length)
}

#[allow(clippy::cast_possible_truncation)]
fn low(value: u64) -> u32 {
    value as u32
}

#[allow(clippy::cast_possible_truncation)]
fn low_byte(value: u64) -> u8 {
    value as u8
}
