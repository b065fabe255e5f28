//! What is set: for an engine, and for each virtual machine.

use serde::{Deserialize, Serialize};

use crate::Nanos;

/// Nanoseconds of a millisecond.
const MILLISECOND: Nanos = 1_000_000;

/// How an engine is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The in-flight window: engine time that is handed out and has not come back. One session has it at a time, so that
    /// no other waits longer for its turn, but for kernels that run longer than their lease.
    pub window: Nanos,
    /// How long a lease that should have come back holds others up: after that they go beside it.
    pub patience: Nanos,
    /// How long a kernel may run, and a lease may stay out after it should have come back.
    pub watchdog: Nanos,
    /// How long a machine waits until it counts as one of the next higher priority: it then goes before those that are, but
    /// for one lease in eight at most.
    pub ageing: Nanos,
    /// A machine is quarantined when so many of its kernels ran too long, within `strikes_within`; 0 is never.
    pub strikes: u32,
    /// See `strikes`.
    pub strikes_within: Nanos,
}

impl Default for Config {
    /// One lease of 2 ms at a time; kernels may run for 10 s; three that did not end within ten minutes are too many.
    fn default() -> Self {
        Self {
            window: 2 * MILLISECOND,
            patience: 100 * MILLISECOND,
            watchdog: 10_000 * MILLISECOND,
            ageing: 50 * MILLISECOND,
            strikes: 3,
            strikes_within: 600_000 * MILLISECOND,
        }
    }
}

/// Who comes first. A machine of a higher one is served before others, until these have waited for long.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// What may wait.
    Low,
    /// The usual.
    #[default]
    Medium,
    /// What people wait for.
    High,
}

/// A bound of engine time, by a token bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Engine time of each second of the clock, in millionths: 250,000 is a quarter.
    pub millionths: u32,
    /// Engine time that may be saved up.
    pub burst: Nanos,
}

/// What a virtual machine gets of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Its part, relative to the weights of others that have work: from 1 on.
    pub weight: u32,
    /// Whom it comes before.
    pub priority: Priority,
    /// The most that it gets, even of an engine that nobody else uses.
    pub cap: Option<Rate>,
    /// The most that it gets in the long run.
    pub rate: Option<Rate>,
    /// Pieces of work of one session that wait at a time.
    pub queue: u32,
    /// Sessions at a time.
    pub sessions: u32,
}

impl Share {
    /// The usual weight.
    pub const WEIGHT: u32 = 100;
    /// The highest weight.
    pub const WEIGHT_MAX: u32 = 10_000;
}

impl Default for Share {
    /// Weight 100, medium priority, no bound but 1,024 pieces of work and 64 sessions.
    fn default() -> Self {
        Self {
            weight: Self::WEIGHT,
            priority: Priority::Medium,
            cap: None,
            rate: None,
            queue: 1024,
            sessions: 64,
        }
    }
}
