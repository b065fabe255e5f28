//! Sessions at engines.

use std::os::fd::OwnedFd;

use uuid::Uuid;
use vgpu_gate::Seat;
use vgpu_sched::SessionId;

/// A session, as the daemon names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SeatId(pub(super) u64);

/// Why a worker is to be ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) seat: SeatId,
    pub(crate) why: String,
}

/// A session's place at an engine.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) seat: Seat,
    pub(super) engine: usize,
    pub(super) session: SessionId,
    pub(super) machine: Uuid,
    /// In the machine's ledger.
    pub(super) place: usize,
    /// Bytes of the guest's memory that it shares: the ledger has them too, but workers can write there.
    pub(super) pinned: u64,
    /// What people know it by: the channel's number, and the worker's process.
    pub(super) channel: u32,
    pub(super) process: u32,
    pub(super) opened: u64,
    /// What its engine had worked when it got its lease, in nanoseconds.
    pub(super) worked: u64,
}

/// What a new worker is given.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) seat: SeatId,
    /// Its end of the gate.
    pub(crate) gate: OwnedFd,
    /// The engine's kind and tuning, as words for the worker.
    pub(crate) words: [String; 2],
    /// Which engine that is, for a later daemon.
    pub(crate) engine: u64,
}
