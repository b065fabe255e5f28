//! What CUDA commands do in a worker: an engine executes them.
//!
//! An engine does its work before it returns, and commands are done in their
//! order, so every stream and event is done as soon as what was sent before is.
#![forbid(unsafe_code)]

mod call;
mod cuda;
mod echo;
mod engines;
mod hello;
mod printed;
mod serve;
mod shared;
mod tuning;

use std::os::fd::OwnedFd;

pub use cuda::{Cuda, MakeEngine};
pub use echo::Echo;
pub use engines::{Attachment, ECHOES, ENGINES, EngineKind, worker_with_driver};
pub use tuning::{NoTuning, Tuning};

/// A worker of a daemon, with the default engine: see [`EngineKind::worker`].
#[must_use]
pub fn worker(socket: OwnedFd, daemon: i32) -> i32 {
    ENGINES[0].worker(Attachment::Local, socket, daemon)
}
