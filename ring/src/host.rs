//! The host's half of a session.

use core::sync::atomic::Ordering;

use crate::memory::{Memory, Slice, Word};
use crate::record::{HEADER_SIZE, Header, NO_SLOT, Record};
use crate::reply::{NoRoom, Replies};
use crate::spsc::{Consumer, Fault, Next, Producer, PushError};
use crate::wait::{Park, Spin, Wake, publish, wait, wake};

/// What the host does in a session: it takes commands, and answers them.
#[derive(Debug)]
pub struct Host<M, K> {
    slice: Slice<M>,
    commands: Consumer<M>,
    answers: Answerer<M, K>,
}

/// What answers calls; clones may do so on other threads.
#[derive(Clone, Debug)]
pub struct Answerer<M, K> {
    slice: Slice<M>,
    replies: Replies<M>,
    guest: K,
}

impl<M: Memory, K: Wake> Answerer<M, K> {
    /// Answers a call.
    ///
    /// # Errors
    /// [`NoRoom`]: the guest's record names no slot of this session, or the
    /// answer is too long for one.
    #[inline]
    pub fn reply(&self, slot: u8, seq: u32, status: i32, answer: &[u8]) -> Result<(), NoRoom> {
        self.replies.post(slot, seq, status, answer)?;
        self.wake_guest();
        Ok(())
    }

    /// Sets the session's fault; the first one stays.
    pub fn fault(&self, status: i32, seq: u32) {
        let word = self.slice.word(self.slice.layout().fault);
        if word.load(Ordering::Relaxed) == 0 {
            let value = u64::from(status as u32) | u64::from(seq) << 32;
            publish(word, value);
        }
        self.wake_guest();
    }

    /// Tells the guest that a point of its commands is reached, and waits until it lets the host
    /// go on from there. Points have numbers that grow.
    ///
    /// # Errors
    /// The guest is gone.
    pub fn hold<P: Park>(&self, point: u64, park: &P, spin: impl Spin) -> Result<(), P::Lost> {
        let layout = self.slice.layout();
        publish(self.slice.word(layout.held), point);
        self.wake_guest();
        let released = self.slice.word(layout.released);
        wait(self.slice.word(layout.parked), park, spin, || {
            (released.load(Ordering::Acquire) >= point).then_some(())
        })
    }

    /// Wakes the guest's threads where some are parked.
    #[inline]
    fn wake_guest(&self) {
        wake(self.slice.word(self.slice.layout().waiters), &self.guest);
    }
}

impl<M: Memory, K: Wake + Clone> Host<M, K> {
    /// The host's half of a new session; `guest` wakes its threads.
    pub fn new(slice: Slice<M>, guest: K) -> Self {
        let layout = slice.layout();
        Self {
            commands: Consumer::new(slice.clone(), layout.commands),
            answers: Answerer {
                slice: slice.clone(),
                replies: Replies::new(slice.clone()),
                guest,
            },
            slice,
        }
    }

    /// Copies the next command into private memory. The guest is woken where it
    /// waits for the room that this made.
    ///
    /// # Errors
    /// The guest broke the protocol: its session is over.
    #[inline]
    pub fn next(&mut self, into: &mut Record) -> Result<Next, Fault> {
        let published = self.commands.published();
        let found = self.commands.next(into)?;
        if self.commands.published() != published {
            self.answers.wake_guest();
        }
        Ok(found)
    }

    /// Waits until there is a command.
    ///
    /// # Errors
    /// The guest is gone.
    pub fn wait<P: Park>(&self, park: &P, spin: impl Spin) -> Result<(), P::Lost> {
        let flag = self.slice.word(self.slice.layout().parked);
        wait(flag, park, spin, || self.commands.ready().then_some(()))
    }

    /// What answers.
    #[inline]
    pub const fn answers(&self) -> &Answerer<M, K> {
        &self.answers
    }

    /// The slice.
    #[inline]
    pub const fn slice(&self) -> &Slice<M> {
        &self.slice
    }
}

/// Tells the guest what no call asked for. Nobody is woken: the guest looks where
/// it has an answer, which is to be given after the notices that belong to it.
#[derive(Debug)]
pub struct Notifier<M> {
    producer: Producer<M>,
    longest: usize,
}

impl<M: Memory> Notifier<M> {
    /// The producer of a new session's notices.
    pub const fn new(slice: Slice<M>) -> Self {
        let ring = slice.layout().notices;
        Self {
            producer: Producer::new(slice, ring),
            longest: ring.longest_record() - HEADER_SIZE,
        }
    }

    /// The most bytes of a notice.
    pub const fn longest(&self) -> usize {
        self.longest
    }

    /// Sends a notice; its length is the header's `aux`.
    ///
    /// # Errors
    /// [`PushError`]; nothing was sent. Where the ring is full, there is room once
    /// the guest has looked.
    pub fn send(&mut self, op: u16, data: &[u8]) -> Result<(), PushError> {
        let header = Header {
            op,
            slot: NO_SLOT,
            aux: data.len() as u32,
            ..Header::default()
        };
        self.producer.push(header, &[], data)
    }
}
