//! What a scheduler and its caller tell each other.

/// Nanoseconds: of a clock that does not go back, or of an engine's time.
pub type Nanos = u64;

/// A virtual machine, by the number that its caller gave it.
pub type VmId = u64;

/// A session. No number comes twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub(crate) u64);

/// Engine time that a session has until it gives it back by [`Scheduler::done`](crate::Scheduler::done).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Whose it is.
    pub session: SessionId,
    /// How much; a piece of work that takes longer goes to its end all the same.
    pub time: Nanos,
    /// Whether it goes on until [`Scheduler::recall`](crate::Scheduler::recall) names the session, as nobody else wants the engine.
    pub open: bool,
}

/// What there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The session is to be told of its lease.
    Grant(Lease),
    /// Nothing before something is submitted or done, or until a time where there is one.
    Wait(Option<Nanos>),
}

/// A session whose kernel ran too long, or that kept its lease: it is to be ended, and [`Scheduler::close`](crate::Scheduler::close)d.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expired {
    /// Which.
    pub session: SessionId,
    /// Its machine.
    pub vm: VmId,
    /// Whether that was once too often: the machine is quarantined now.
    pub quarantined: bool,
}

/// What a machine or a session has had of the engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Engine time.
    pub time: Nanos,
    /// Leases.
    pub leases: u64,
    /// Clock time that it wanted the engine and did not have it.
    pub waited: Nanos,
    /// Times that a kernel ran too long.
    pub expired: u64,
}

/// Why something is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No such machine.
    #[error("no such virtual machine")]
    UnknownVm,
    /// No such session.
    #[error("no such session")]
    UnknownSession,
    /// The machine has as many sessions as it may.
    #[error("the virtual machine has {0} sessions, which is all that it may")]
    Sessions(u32),
    /// As much of the session's work waits as may.
    #[error("{0} pieces of work wait, which is all that may")]
    Queue(u32),
    /// The machine is quarantined.
    #[error("the virtual machine is quarantined")]
    Quarantined,
}
