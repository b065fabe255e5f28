//! Waiting for the other side: spin, then park until woken.
//!
//! Who parks says so in a word of the slice, looks once more, and sleeps. Who
//! publishes looks at that word afterwards. Who parks has a fence
//! between the two; who publishes does it by an exchange, which is as strong and
//! costs x86 less. So one of them sees the other, and no wake-up is lost.
//!
//! The word has in its lower half how many are parked, and in its upper half how
//! often somebody has parked. Who sends many records until a parked peer runs
//! rings once for them all, see [`Bell`]: who parks anew is counted anew.

use core::sync::atomic::Ordering;

use crate::memory::Word;

/// Wakes the other side: an eventfd here, a doorbell in a virtual machine.
pub trait Wake {
    /// Wakes whoever is parked. It must not block.
    fn wake(&self);
}

impl<K: Wake + ?Sized> Wake for &K {
    fn wake(&self) {
        (**self).wake();
    }
}

/// Sleeps until the other side wakes.
pub trait Park {
    /// Stands for the wake-ups up to a moment.
    type Ticket: Copy;
    /// Why there is nothing to wait for any more.
    type Lost;

    /// Taken before the last look at what is waited for.
    fn ticket(&self) -> Self::Ticket;

    /// Sleeps until there is a wake-up that the ticket does not stand for; may
    /// also return early.
    ///
    /// # Errors
    /// The other side is gone.
    fn park(&self, ticket: Self::Ticket) -> Result<(), Self::Lost>;
}

/// What parking adds to its word: one that is parked, and one more time.
const PARKING: u64 = 1 << 32 | 1;

/// How long to look again before parking.
pub trait Spin {
    /// Whether to look once more, and not to park. Is called after each look
    /// that found nothing.
    fn again(&mut self) -> bool;
}

/// Looks so many times.
#[derive(Clone, Copy, Debug)]
pub struct Looks(pub u32);

impl Spin for Looks {
    #[inline]
    fn again(&mut self) -> bool {
        core::hint::spin_loop();
        match self.0.checked_sub(1) {
            Some(left) => self.0 = left,
            None => return false,
        }
        true
    }
}

/// Waits until `ready` gives something. `flag` is the word that tells the other
/// side that somebody is parked; several threads may wait by the same flag.
///
/// # Errors
/// The other side is gone.
#[inline]
pub fn wait<W: Word, P: Park, T>(
    flag: &W,
    park: &P,
    mut spin: impl Spin,
    mut ready: impl FnMut() -> Option<T>,
) -> Result<T, P::Lost> {
    loop {
        if let Some(found) = ready() {
            return Ok(found);
        }
        if spin.again() {
            continue;
        }
        let ticket = park.ticket();
        flag.fetch_add(PARKING, Ordering::SeqCst);
        W::fence(Ordering::SeqCst);
        let found = ready();
        let parked = match found {
            None => park.park(ticket),
            Some(_) => Ok(()),
        };
        flag.fetch_add(u64::MAX, Ordering::Relaxed);
        if let Some(found) = found {
            return Ok(found);
        }
        parked?;
    }
}

/// Writes a word that the other side waits for, after all that was written before.
/// [`wake`] is to follow.
#[inline]
pub fn publish<W: Word>(word: &W, value: u64) {
    word.swap(value, Ordering::SeqCst);
}

/// Wakes the other side where it is parked. To be called after what it waits for
/// was written by [`publish`]: after another kind of store, a wake-up may be lost.
#[inline]
pub fn wake<W: Word>(flag: &W, wake: &impl Wake) {
    if flag.load(Ordering::SeqCst) as u32 != 0 {
        wake.wake();
    }
}

/// What was rung: wakes the other side as [`wake`] does, but once each time that it parks.
#[derive(Debug, Default)]
pub struct Bell {
    /// The time that it was parked, as its word counts them, when it was rung last and has
    /// not been seen awake since; else 0.
    rung: u32,
}

impl Bell {
    /// As [`wake`], under the same rule.
    #[inline]
    pub fn ring<W: Word>(&mut self, flag: &W, peer: &impl Wake) {
        let parked = flag.load(Ordering::SeqCst);
        if parked as u32 == 0 {
            self.rung = 0;
        } else {
            self.ring_parked((parked >> 32) as u32, peer);
        }
    }

    #[cold]
    fn ring_parked(&mut self, time: u32, peer: &impl Wake) {
        // A peer that does not count has 0 there, and is rung each time.
        if time == 0 || time != self.rung {
            self.rung = time;
            peer.wake();
        }
    }
}
