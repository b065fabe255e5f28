//! What a scheduler knows of machines and sessions.

use crate::account::Account;
use crate::bucket::Bucket;
use crate::words::{Usage, VmId};
use crate::{Config, Nanos, Share};

#[derive(Clone, Debug)]
pub(crate) struct Vm {
    pub(crate) share: Share,
    pub(crate) account: Account,
    pub(crate) cap: Option<Bucket>,
    pub(crate) rate: Option<Bucket>,
    pub(crate) sessions: u32,
    /// Since when it wants the engine and has no lease.
    pub(crate) waiting: Option<Nanos>,
    pub(crate) quarantined: bool,
    /// When its kernels ran too long, the latest last.
    pub(crate) strikes: Vec<Nanos>,
    pub(crate) usage: Usage,
}

impl Vm {
    /// Whether it may not have all of an engine that nobody else uses.
    pub(crate) const fn is_bounded(&self) -> bool {
        self.cap.is_some() || self.rate.is_some()
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) vm: VmId,
    pub(crate) account: Account,
    pub(crate) queued: u32,
    pub(crate) lease: Option<Out>,
    pub(crate) usage: Usage,
}

/// A lease that is out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Out {
    pub(crate) since: Nanos,
    /// When it should come back: an open one never, until it is recalled.
    pub(crate) due: Option<Nanos>,
    /// Whether it was given without an end.
    pub(crate) open: bool,
    /// Since when its kernel runs.
    pub(crate) kernel: Option<Nanos>,
    pub(crate) expired: bool,
}

/// What each round adds to a machine's credit.
pub(crate) fn quantum(config: &Config, share: &Share) -> Nanos {
    let weight = u128::from(share.weight.clamp(1, Share::WEIGHT_MAX));
    let quantum = u128::from(config.window) * weight / u128::from(Share::WEIGHT);
    Nanos::try_from(quantum).unwrap_or(Nanos::MAX).max(1)
}
