//! The page of a session: a few words that its worker and the daemon tell each other.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use vgpu_ring::Memory;

use crate::Times;

/// Where each thing lies, in words. The first is the daemon's, all others are the worker's.
const RECALLED: usize = 0;
const BUSY: usize = 8;
const COUNTS: usize = 16;
const SERIES: usize = 64;

/// What a worker counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Count {
    /// Kernels launched.
    Launches,
    /// Copies and fills.
    Copies,
    /// Bytes copied to the device,
    BytesIn,
    /// from the device,
    BytesOut,
    /// and within it.
    BytesInside,
    /// Nanoseconds that the engine worked.
    EngineTime,
    /// Times that it waited for a lease,
    Waits,
    /// and nanoseconds that it did.
    WaitTime,
    /// Commands that failed.
    Errors,
    /// Bytes of commands that wait in the ring.
    Queued,
}

impl Count {
    /// All, with the names that reports have for them.
    pub const ALL: [(Self, &'static str); 10] = [
        (Self::Launches, "launches"),
        (Self::Copies, "copies"),
        (Self::BytesIn, "bytes_in"),
        (Self::BytesOut, "bytes_out"),
        (Self::BytesInside, "bytes_inside"),
        (Self::EngineTime, "engine_ns"),
        (Self::Waits, "waits"),
        (Self::WaitTime, "wait_ns"),
        (Self::Errors, "errors"),
        (Self::Queued, "queued_bytes"),
    ];
}

/// What a worker measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Series {
    /// From when it took a launch or a copy up until that was done, the wait for a lease in it.
    Latency,
    /// The wait for a lease.
    Wait,
}

/// A session's page.
#[derive(Clone, Debug)]
pub struct Page<M>(M);

impl<M> Page<M> {
    /// Its length in bytes.
    pub const SIZE: usize = 8192;
}

impl<M: Memory<Word = AtomicU64>> Page<M> {
    /// The page in some memory, which is zero where it is new; `None` where that is too small.
    #[must_use]
    pub fn new(memory: M) -> Option<Self> {
        let large = memory.words().len() >= Self::SIZE / 8;
        large.then_some(Self(memory))
    }

    fn word(&self, index: usize) -> &AtomicU64 {
        &self.0.words()[index]
    }

    /// The daemon wants a lease back. Gives whether it has it: the worker's engine does not work, and will not under this
    /// lease.
    #[must_use]
    pub fn recall(&self, lease: u64) -> bool {
        self.word(RECALLED).store(lease, SeqCst);
        self.busy_since().is_none()
    }

    /// The worker's engine is about to work. Gives whether it may: the lease is not recalled.
    #[must_use]
    pub(crate) fn begin(&self, lease: u64, now: u64) -> bool {
        self.word(BUSY).store(now.max(1), SeqCst);
        let may = !self.is_recalled(lease);
        if !may {
            self.end();
        }
        may
    }

    pub(crate) fn end(&self) {
        self.word(BUSY).store(0, SeqCst);
    }

    pub(crate) fn is_recalled(&self, lease: u64) -> bool {
        self.word(RECALLED).load(SeqCst) >= lease
    }

    /// Since when the worker's engine works, as that says.
    #[must_use]
    pub fn busy_since(&self) -> Option<u64> {
        Some(self.word(BUSY).load(SeqCst)).filter(|since| *since != 0)
    }

    /// What was counted.
    #[must_use]
    pub fn count(&self, count: Count) -> u64 {
        self.word(COUNTS + count as usize).load(Relaxed)
    }

    /// Counts more.
    pub fn add(&self, count: Count, more: u64) {
        let has = self.count(count);
        self.set(count, has.wrapping_add(more));
    }

    /// Sets what is no sum. The worker alone writes it, so nothing is lost.
    pub fn set(&self, count: Count, value: u64) {
        self.word(COUNTS + count as usize).store(value, Relaxed);
    }

    /// Adds a time, in nanoseconds.
    pub fn note(&self, series: Series, time: u64) {
        let word = self.word(at(series, Times::class(time)));
        word.store(word.load(Relaxed).wrapping_add(1), Relaxed);
    }

    /// What was measured.
    #[must_use]
    pub fn times(&self, series: Series) -> Times {
        let mut times = Times::default();
        for class in 0..Times::CLASSES {
            times.add_to(class, self.word(at(series, class)).load(Relaxed));
        }
        times
    }
}

const fn at(series: Series, class: usize) -> usize {
    SERIES + series as usize * Times::CLASSES + class
}

const _: () = assert!(at(Series::Wait, Times::CLASSES) <= Page::<()>::SIZE / 8);
