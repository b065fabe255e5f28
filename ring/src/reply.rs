//! Reply slots: a call's answer, where the thread that made the call looks.
//!
//! A slot's first word holds the call's number and its status, and is written
//! last. Calls of different threads may be answered in any order.

use core::fmt;
use core::sync::atomic::Ordering;

use zerocopy::IntoBytes;

use crate::layout::{INLINE_REPLY, LINE};
use crate::memory::{Memory, Slice, Word};
use crate::wait::publish;

/// The number of words of a slot that hold the reply itself.
const WORDS: usize = INLINE_REPLY / 8;

/// An answer, in private memory: its first `N` words, of which a slot has 14.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply<const N: usize = WORDS> {
    /// 0, or what went wrong (a `CUresult`).
    pub status: i32,
    /// The bytes of the answer, as the host states them.
    pub len: u32,
    /// Its words; those that it does not have are 0.
    pub words: [u64; N],
}

impl<const N: usize> Reply<N> {
    /// The answer, as far as it lies in the slot, and is here.
    #[must_use]
    pub fn inline(&self) -> &[u8] {
        let bytes = self.words.as_bytes();
        &bytes[..bytes.len().min(self.len as usize)]
    }
}

/// A record names a slot that there is not, or an answer is too long for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom;

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no such reply slot, or an answer that is too long for one")
    }
}

impl core::error::Error for NoRoom {}

/// Both sides' view of the slots.
#[derive(Clone, Copy, Debug)]
pub struct Replies<M> {
    slice: Slice<M>,
}

impl<M: Memory> Replies<M> {
    /// The slots of a session.
    pub const fn new(slice: Slice<M>) -> Self {
        Self { slice }
    }

    #[inline]
    fn slot(&self, slot: u8) -> Option<&[M::Word; LINE / 8]> {
        let (layout, slot) = (self.slice.layout(), usize::from(slot));
        let place = (slot < layout.slots).then_some((layout.replies + slot * LINE) / 8)?;
        self.slice.memory().words().get(place..)?.first_chunk()
    }

    /// The number of the call that a slot's last answer is for: the guest
    /// makes no call with the same number there.
    #[inline]
    pub fn last(&self, slot: u8) -> Option<u32> {
        let [first, ..] = self.slot(slot)?;
        Some(first.load(Ordering::Relaxed) as u32)
    }

    /// The guest's side: the answer to a call, where it is there.
    #[inline]
    pub fn poll(&self, slot: u8, seq: u32) -> Option<Reply> {
        self.poll_first(slot, seq)
    }

    /// The same, with so many words of the answer alone.
    #[inline]
    pub fn poll_first<const N: usize>(&self, slot: u8, seq: u32) -> Option<Reply<N>> {
        let [first, second, answer @ ..] = self.slot(slot)?;
        let first = first.load(Ordering::Acquire);
        if first as u32 != seq {
            return None;
        }
        let len = second.load(Ordering::Relaxed) as u32;
        let stated = (len as usize).div_ceil(8);
        let mut words = [0; N];
        for (to, from) in words.iter_mut().zip(&answer[..stated.min(WORDS)]) {
            *to = from.load(Ordering::Relaxed);
        }
        Some(Reply {
            status: (first >> 32) as i32,
            len,
            words,
        })
    }

    /// The host's side: answers a call with what fits into its slot. The guest
    /// must be woken where it sleeps.
    ///
    /// # Errors
    /// There is no such slot, or the answer is longer than [`INLINE_REPLY`].
    #[inline]
    pub fn post(&self, slot: u8, seq: u32, status: i32, answer: &[u8]) -> Result<(), NoRoom> {
        let [first, second, words @ ..] = self.slot(slot).ok_or(NoRoom)?;
        if answer.len() > INLINE_REPLY {
            return Err(NoRoom);
        }
        // From the last on: the other side looks at the first, and takes its line back as long as it is written to.
        for (word, bytes) in words.iter().zip(answer.chunks(8)).rev() {
            let mut whole = [0; 8];
            whole[..bytes.len()].copy_from_slice(bytes);
            word.store(u64::from_le_bytes(whole), Ordering::Relaxed);
        }
        second.store(answer.len() as u64, Ordering::Relaxed);
        publish(first, u64::from(seq) | u64::from(status as u32) << 32);
        Ok(())
    }
}
