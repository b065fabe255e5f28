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

/// An answer, in private memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// 0, or what went wrong (a `CUresult`).
    pub status: i32,
    /// The bytes of the answer, as the host states them.
    pub len: u32,
    inline: [u64; WORDS],
}

impl Reply {
    /// The answer, as far as it lies in the slot.
    #[must_use]
    pub fn inline(&self) -> &[u8] {
        let bytes = self.inline.as_bytes();
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
    fn slot(&self, slot: u8) -> Option<&[M::Word]> {
        let layout = self.slice.layout();
        let known = usize::from(slot) < layout.slots;
        known.then(|| {
            self.slice
                .words(layout.replies + usize::from(slot) * LINE, LINE)
        })
    }

    /// The number of the call that a slot's last answer is for: the guest
    /// makes no call with the same number there.
    #[inline]
    pub fn last(&self, slot: u8) -> Option<u32> {
        let first = self.slot(slot)?.first()?;
        Some(first.load(Ordering::Relaxed) as u32)
    }

    /// The guest's side: the answer to a call, where it is there.
    #[inline]
    pub fn poll(&self, slot: u8, seq: u32) -> Option<Reply> {
        let words = self.slot(slot)?;
        let first = words[0].load(Ordering::Acquire);
        if first as u32 != seq {
            return None;
        }
        let second = words[1].load(Ordering::Relaxed);
        let len = second as u32;
        let mut inline = [0; WORDS];
        let used = (len as usize).div_ceil(8).min(WORDS);
        for (to, from) in inline.iter_mut().zip(&words[2..2 + used]) {
            *to = from.load(Ordering::Relaxed);
        }
        Some(Reply {
            status: (first >> 32) as i32,
            len,
            inline,
        })
    }

    /// The host's side: answers a call with what fits into its slot. The guest
    /// must be woken where it sleeps.
    ///
    /// # Errors
    /// There is no such slot, or the answer is longer than [`INLINE_REPLY`].
    #[inline]
    pub fn post(&self, slot: u8, seq: u32, status: i32, answer: &[u8]) -> Result<(), NoRoom> {
        let words = self.slot(slot).ok_or(NoRoom)?;
        if answer.len() > INLINE_REPLY {
            return Err(NoRoom);
        }
        for (word, bytes) in words[2..].iter().zip(answer.chunks(8)) {
            let mut whole = [0; 8];
            whole[..bytes.len()].copy_from_slice(bytes);
            word.store(u64::from_le_bytes(whole), Ordering::Relaxed);
        }
        words[1].store(answer.len() as u64, Ordering::Relaxed);
        let first = u64::from(seq) | u64::from(status as u32) << 32;
        publish(&words[0], first);
        Ok(())
    }
}
