//! The guest's half of a session.

use core::sync::atomic::Ordering;

use crate::memory::{Memory, Slice, Word};
use crate::record::{Header, NO_SLOT, Record};
use crate::reply::{Replies, Reply};
use crate::spsc::{Consumer, Fault, Next, Producer, PushError};
use crate::wait::{Bell, Park, Spin, Wake, publish, wait, wake};

/// What is sent: a record's header without its length and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command {
    /// The op.
    pub op: u16,
    /// Its flags.
    pub flags: u8,
    /// What the op makes of it.
    pub aux: u32,
}

/// The commands' producer. Threads share it under a lock.
#[derive(Debug)]
pub struct Commands<M> {
    producer: Producer<M>,
    slice: Slice<M>,
    replies: Replies<M>,
    seq: u32,
    bell: Bell,
}

impl<M: Memory> Commands<M> {
    /// The producer of a new session.
    pub fn new(slice: Slice<M>) -> Self {
        Self {
            producer: Producer::new(slice.clone(), slice.layout().commands),
            replies: Replies::new(slice.clone()),
            slice,
            seq: 0,
            bell: Bell::default(),
        }
    }

    /// Sends a command that nobody waits for; gives the number by which a fault
    /// would name it.
    ///
    /// # Errors
    /// [`PushError`]; nothing was sent.
    #[inline(always)]
    pub fn send(
        &mut self,
        command: Command,
        fixed: &[u64],
        data: &[u8],
        peer: &impl Wake,
    ) -> Result<u32, PushError> {
        self.push(command, NO_SLOT, fixed, data, peer)
    }

    /// Sends a command whose answer comes in a slot, which the caller alone
    /// uses until it has the answer; gives the number to wait for.
    ///
    /// # Errors
    /// [`PushError`]; nothing was sent.
    #[inline(always)]
    pub fn call(
        &mut self,
        command: Command,
        slot: u8,
        fixed: &[u64],
        data: &[u8],
        peer: &impl Wake,
    ) -> Result<u32, PushError> {
        if self.replies.last(slot) == Some(self.seq.wrapping_add(1)) {
            self.seq = self.seq.wrapping_add(1);
        }
        self.push(command, slot, fixed, data, peer)
    }

    #[inline(always)]
    fn push(
        &mut self,
        command: Command,
        slot: u8,
        fixed: &[u64],
        data: &[u8],
        peer: &impl Wake,
    ) -> Result<u32, PushError> {
        let seq = self.seq.wrapping_add(1);
        let header = Header {
            len: 0,
            op: command.op,
            flags: command.flags,
            slot,
            seq,
            aux: command.aux,
        };
        self.producer.push(header, fixed, data)?;
        self.seq = seq;
        let parked = self.slice.word(self.slice.layout().parked);
        self.bell.ring(parked, peer);
        Ok(seq)
    }

    /// The count of bytes that were sent.
    #[inline]
    pub const fn position(&self) -> u64 {
        self.producer.position()
    }

    /// Whether the host has told that it consumed all up to a position.
    #[inline]
    pub fn consumed(&self, position: u64) -> bool {
        self.producer.consumed(position)
    }
}

/// What the guest reads. Threads share it.
#[derive(Clone, Debug)]
pub struct Answers<M> {
    slice: Slice<M>,
    replies: Replies<M>,
}

impl<M: Memory> Answers<M> {
    /// The answers of a session.
    pub fn new(slice: Slice<M>) -> Self {
        Self {
            replies: Replies::new(slice.clone()),
            slice,
        }
    }

    /// The answer to a call, where it is there.
    #[inline]
    pub fn poll(&self, slot: u8, seq: u32) -> Option<Reply> {
        self.replies.poll(slot, seq)
    }

    /// The same, with so many words of the answer alone.
    #[inline]
    pub fn poll_first<const N: usize>(&self, slot: u8, seq: u32) -> Option<Reply<N>> {
        self.replies.poll_first(slot, seq)
    }

    /// Waits until something is there: an answer, or room in the ring.
    ///
    /// # Errors
    /// The host is gone.
    #[inline]
    pub fn wait<P: Park, T>(
        &self,
        park: &P,
        spin: impl Spin,
        ready: impl FnMut() -> Option<T>,
    ) -> Result<T, P::Lost> {
        wait(
            self.slice.word(self.slice.layout().waiters),
            park,
            spin,
            ready,
        )
    }

    /// Waits until the host has reached a point where it waits.
    ///
    /// # Errors
    /// The host is gone.
    pub fn reach<P: Park>(&self, point: u64, park: &P, spin: impl Spin) -> Result<(), P::Lost> {
        let held = self.slice.word(self.slice.layout().held);
        self.wait(park, spin, || {
            (held.load(Ordering::Acquire) >= point).then_some(())
        })
    }

    /// Lets the host go on from a point.
    pub fn release(&self, point: u64, peer: &impl Wake) {
        let layout = self.slice.layout();
        publish(self.slice.word(layout.released), point);
        wake(self.slice.word(layout.parked), peer);
    }

    /// The session's fault, where there is one: its status, and the number of
    /// the command that failed.
    #[inline]
    pub fn fault(&self) -> Option<(i32, u32)> {
        let fault = self.slice.word(self.slice.layout().fault);
        match fault.load(Ordering::Acquire) {
            0 => None,
            value => Some((value as i32, (value >> 32) as u32)),
        }
    }

    /// The count of notice bytes that the host says it has sent: where it has
    /// changed, [`Notices`] has more.
    #[inline]
    pub fn noticed(&self) -> u64 {
        let tail = self.slice.word(self.slice.layout().notices.tail);
        tail.load(Ordering::Acquire)
    }

    /// The slice.
    #[inline]
    pub const fn slice(&self) -> &Slice<M> {
        &self.slice
    }
}

/// What the host tells without being asked. Threads share it under a lock.
#[derive(Debug)]
pub struct Notices<M> {
    consumer: Consumer<M>,
}

impl<M: Memory> Notices<M> {
    /// The consumer of a new session's notices.
    pub const fn new(slice: Slice<M>) -> Self {
        let ring = slice.layout().notices;
        Self {
            consumer: Consumer::new(slice, ring),
        }
    }

    /// Copies the next notice into private memory.
    ///
    /// # Errors
    /// The host broke the protocol; every later call says the same.
    pub fn next(&mut self, into: &mut Record) -> Result<Next, Fault> {
        self.consumer.next(into)
    }
}
