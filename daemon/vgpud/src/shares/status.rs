//! What people and programs are told: engines, machines, sessions.

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use vgpu_sched::Priority;

use super::machine::Totals;

/// All at a glance.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// Nanoseconds since the daemon began: what counters are to be divided by.
    pub up_ns: u64,
    /// Its engines.
    pub engines: Vec<EngineStatus>,
    /// Its machines, those without a session too.
    pub machines: Vec<MachineStatus>,
    /// What keeps machines' workers apart beside their sandboxes; `None` where none of them is a machine's.
    pub workers: Option<WorkersStatus>,
}

/// What keeps machines' workers apart beside their sandboxes, in words.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WorkersStatus {
    /// Which users they are.
    pub users: String,
    /// Below which control group each machine's have one, and what that bounds.
    pub groups: String,
}

/// An engine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EngineStatus {
    /// Its name in the configuration.
    pub name: String,
    /// What it is, as `--engine` calls it.
    pub kind: String,
    /// Sessions that have it.
    pub sessions: u64,
    /// Nanoseconds that it worked, for sessions that there are and for those that are over.
    pub engine_ns: u64,
    /// Times that it went from one session to another.
    pub switches: u64,
}

/// A machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MachineStatus {
    /// Which; of a user's programs on this machine, all zeros.
    pub machine: Uuid,
    /// Its pool of engines.
    pub pool: String,
    /// Its part of an engine, relative to others.
    pub weight: u32,
    /// Whom it comes before.
    pub priority: Priority,
    /// Whether it gets no engine.
    pub quarantined: bool,
    /// Bytes of device memory that its sessions have,
    pub memory_used: u64,
    /// and may have; `None` where there is no quota.
    pub memory_quota: Option<u64>,
    /// Sessions that it may have at a time; 0 where the daemon does not tell, as older ones.
    #[serde(default)]
    pub sessions_most: u32,
    /// The user that its workers are, where it has one of its own.
    pub workers_user: Option<u32>,
    /// Bytes of its guest's memory that its sessions share, and that so stay in place,
    pub pinned: u64,
    /// and may.
    pub pinned_quota: u64,
    /// Sessions that the watchdog ended.
    pub resets: u64,
    /// Sessions that are over.
    pub sessions_ended: u64,
    /// What all its sessions have done.
    pub work: Work,
    /// Its sessions.
    pub sessions: Vec<SessionStatus>,
}

/// A session.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SessionStatus {
    /// The channel's number.
    pub channel: u32,
    /// The worker's process.
    pub process: u32,
    /// The engine.
    pub engine: String,
    /// Nanoseconds since it was opened.
    pub age_ns: u64,
    /// Whether it has the engine, or waits for it.
    pub state: SessionState,
    /// Bytes of device memory.
    pub memory_used: u64,
    /// Bytes of its guest's memory that it shares.
    pub pinned: u64,
    /// What it has done.
    pub work: Work,
}

/// What a session does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionState {
    /// It has nothing to do.
    Idle,
    /// It waits for a lease.
    Waits,
    /// It has a lease.
    Runs,
}

/// What was done, as workers say.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Work {
    /// Kernels.
    pub launches: u64,
    /// Copies and fills.
    pub copies: u64,
    /// Bytes to the device.
    pub bytes_in: u64,
    /// Bytes from the device.
    pub bytes_out: u64,
    /// Bytes within the device.
    pub bytes_inside: u64,
    /// Nanoseconds that the engine worked.
    pub engine_ns: u64,
    /// Times that a lease was waited for,
    pub waits: u64,
    /// and nanoseconds of that.
    pub wait_ns: u64,
    /// Commands that failed.
    pub errors: u64,
    /// Bytes of commands that wait in the ring, as of the last command that was taken up.
    pub queued_bytes: u64,
    /// From when a launch or copy was taken up until it was done, on average: `None` where there was none.
    pub latency_avg_ns: Option<u64>,
    /// Its 95th percentile,
    pub latency_p95_ns: Option<u64>,
    /// and 99th.
    pub latency_p99_ns: Option<u64>,
}

impl Work {
    pub(super) fn of(totals: &Totals) -> Self {
        let count = |name| totals.count(name);
        let times = &totals.latency;
        let spent = count("engine_ns").saturating_add(count("wait_ns"));
        Self {
            launches: count("launches"),
            copies: count("copies"),
            bytes_in: count("bytes_in"),
            bytes_out: count("bytes_out"),
            bytes_inside: count("bytes_inside"),
            engine_ns: count("engine_ns"),
            waits: count("waits"),
            wait_ns: count("wait_ns"),
            errors: count("errors"),
            queued_bytes: count("queued_bytes"),
            latency_avg_ns: spent.checked_div(times.count()),
            latency_p95_ns: times.percentile(95),
            latency_p99_ns: times.percentile(99),
        }
    }
}
