//! Engines and machines, as the operator wants them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use uuid::Uuid;
use vgpu_sched::{Config, Share};
use vgpu_service::Tuning;

use super::users::UserRange;

/// The pool of machines that name none, and the engine where none is named.
pub(super) const DEFAULT: &str = "default";

/// What a machine may have of the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Channels at a time.
    pub(crate) channels: u32,
    /// Bytes of guest memory that are shared at a time.
    pub(crate) memory: u64,
}

impl Default for Limits {
    /// 64 channels, and a GiB.
    fn default() -> Self {
        Self {
            channels: 64,
            memory: 1 << 30,
        }
    }
}

/// An engine, as the operator wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EngineSettings {
    pub(crate) name: String,
    /// The name of a [`vgpu_service::EngineKind`].
    pub(crate) kind: String,
    pub(crate) tuning: Tuning,
    pub(crate) config: Config,
}

impl EngineSettings {
    /// The only one, where nothing is said of engines.
    pub(crate) fn usual(kind: &str) -> Self {
        Self {
            name: DEFAULT.to_owned(),
            kind: kind.to_owned(),
            tuning: Tuning::default(),
            config: Config::default(),
        }
    }
}

/// A machine, as the operator wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MachineSettings {
    /// The user of its emulator.
    pub(crate) uid: u32,
    pub(crate) limits: Limits,
    pub(crate) share: Share,
    /// Bytes of device memory.
    pub(crate) device_memory: u64,
    pub(crate) pool: String,
    /// The engines of that pool, by their places among all.
    pub(crate) engines: Vec<usize>,
}

impl MachineSettings {
    /// Those of a machine that nothing is said of.
    pub(crate) fn usual(uid: u32, engines: usize) -> Self {
        let limits = Limits::default();
        Self {
            uid,
            limits,
            share: Share {
                sessions: limits.channels,
                ..Share::default()
            },
            device_memory: u64::MAX,
            pool: DEFAULT.to_owned(),
            engines: (0..engines).collect(),
        }
    }
}

/// What machines' workers are kept in, as the operator wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WorkerSettings {
    /// Whether each machine's have a user of their own, where that can be had.
    pub(crate) own_users: bool,
    /// `None`: the usual ones, if they can be had.
    pub(crate) users: Option<UserRange>,
    /// The control group that theirs are made below; `None`: this process's own, if it may divide that.
    pub(crate) group: Option<PathBuf>,
}

impl Default for WorkerSettings {
    fn default() -> Self {
        Self {
            own_users: true,
            users: None,
            group: None,
        }
    }
}

/// All that is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// At least one.
    pub(crate) engines: Vec<EngineSettings>,
    pub(crate) machines: BTreeMap<Uuid, MachineSettings>,
    pub(crate) workers: WorkerSettings,
}
