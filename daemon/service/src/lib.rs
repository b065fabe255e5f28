//! What CUDA commands do in a worker: an engine executes them.
//!
//! An engine does its work before it returns, and commands are done in their
//! order, so every stream and event is done as soon as what was sent before is.
#![forbid(unsafe_code)]

mod call;
mod engines;
mod hello;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::os::fd::OwnedFd;
use std::time::Instant;

use vgpu_cuda_wire::{CUresult, dispatch};
use vgpu_engine::{Engine, LinkId, ModuleInfo};
use vgpu_worker::{Context, Fatal, Request, Service};

use call::Call;
pub use engines::{ENGINES, EngineKind, MakeEngine, worker_with_driver};

/// Images that are linked.
struct Link {
    id: LinkId,
    image: Vec<u8>,
}

/// A session's device.
pub struct Cuda {
    /// Until the program's greeting says which addresses are free.
    make: Option<MakeEngine>,
    engine: Option<Box<dyn Engine>>,
    streams: BTreeSet<u64>,
    /// Events, with when they were recorded.
    events: BTreeMap<u64, Option<Instant>>,
    modules: BTreeMap<u64, ModuleInfo>,
    links: BTreeMap<u64, Link>,
    /// Why the last image was refused.
    refusal: String,
    /// Bytes on their way between shared memory and the engine.
    staging: Vec<u8>,
}

impl Cuda {
    /// A device that an engine is made for when the program greets.
    #[must_use]
    pub fn new(make: MakeEngine) -> Self {
        Self {
            make: Some(make),
            engine: None,
            streams: BTreeSet::new(),
            events: BTreeMap::new(),
            modules: BTreeMap::new(),
            links: BTreeMap::new(),
            refusal: String::new(),
            staging: Vec::new(),
        }
    }
}

impl fmt::Debug for Cuda {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let modules = self.modules.len();
        f.debug_struct("Cuda")
            .field("modules", &modules)
            .finish_non_exhaustive()
    }
}

impl Service for Cuda {
    fn handle(&mut self, request: Request<'_>, session: &Context<'_>) -> Result<(), Fatal> {
        let mut call = Call::new(self, session);
        let answer = dispatch(&mut call, request.header.op, request.payload);
        let answer = answer.map_err(|error| Fatal::protocol(&error))?;
        let status = answer.status.0.cast_signed();
        match (answer.awaited, answer.status) {
            (true, _) => session.reply(&request, status, answer.bytes()),
            (false, CUresult::CUDA_SUCCESS) => Ok(()),
            // Nobody waits: the program learns it at its next waiting call.
            (false, _) => {
                session.answers.fault(status, request.header.seq);
                Ok(())
            }
        }
    }
}

/// A worker of a daemon, with the default engine: see [`EngineKind::worker`].
#[must_use]
pub fn worker(socket: OwnedFd, daemon: i32) -> i32 {
    ENGINES[0].worker(socket, daemon)
}
