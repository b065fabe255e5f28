//! What a worker is told.

use rustix::process::Pid;
use vgpu_ring::layout::SLICE_SIZE;
use vgpu_sandbox::{BecameUser, Policy};
use vgpu_transport::HostSpin;

use crate::{FilesKept, POLICY};

/// What a worker's session may have.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The process that started this one, and that it ends with; a channel's outlives it.
    pub parent: Option<Pid>,
    /// Bytes of the slice.
    pub slice_size: usize,
    /// Bytes of all other regions.
    pub regions: u64,
    /// Whether it looks for commands all the time, and never sleeps until it is rung.
    pub awake: bool,
    /// What the process may do.
    pub policy: &'static Policy,
    /// Where an engine has a driver, which opens files later: that it opens no
    /// others. Without that, the process opens no file at all.
    pub files: Option<FilesKept>,
    /// Which user this process has become, where that is its machine's alone.
    pub user: Option<BecameUser>,
    /// The daemon's user, where that is another: who this process was before.
    pub daemon_user: Option<u32>,
}

impl Options {
    /// How it waits for commands.
    pub(crate) fn spin(&self) -> HostSpin {
        match self.awake {
            true => HostSpin::awake(),
            false => HostSpin::new(),
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            parent: None,
            slice_size: SLICE_SIZE,
            regions: 1 << 30,
            awake: false,
            policy: &POLICY,
            files: None,
            user: None,
            daemon_user: None,
        }
    }
}
