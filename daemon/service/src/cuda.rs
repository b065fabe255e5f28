//! A session's device.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Instant;

use vgpu_cuda_wire::CUresult;
use vgpu_engine::{Engine, LinkId, ModuleInfo};
use vgpu_window::Window;

use crate::printed::Printed;
use crate::shared::SharedGate;

/// Makes an engine whose device memory has addresses from the first on, and up
/// to the second.
pub type MakeEngine = Box<dyn FnOnce((u64, u64)) -> vgpu_engine::Result<Box<dyn Engine>>>;

/// Of so many commands, at one it is looked how many wait.
const COUNTED_EACH: u8 = 16;

/// Images that are linked.
pub(crate) struct Link {
    pub(crate) id: LinkId,
    pub(crate) image: Vec<u8>,
}

/// A session's device.
pub struct Cuda {
    /// `None`: nobody else uses the engine.
    pub(crate) gate: Option<SharedGate>,
    /// Commands since it was counted how many bytes of them wait.
    pub(crate) uncounted: u8,
    /// Until the program's greeting says which addresses are free.
    pub(crate) make: Option<MakeEngine>,
    pub(crate) engine: Option<Box<dyn Engine>>,
    pub(crate) streams: BTreeSet<u64>,
    /// Events, with when they were recorded.
    pub(crate) events: BTreeMap<u64, Option<Instant>>,
    pub(crate) modules: BTreeMap<u64, ModuleInfo>,
    pub(crate) links: BTreeMap<u64, Link>,
    /// The first error of a command that nobody waited for, and that the device
    /// goes on after: for the next one that is waited for.
    pub(crate) pending: Option<CUresult>,
    /// Why the last image was refused.
    pub(crate) refusal: String,
    /// What kernels printed.
    pub(crate) printed: Printed<Window>,
    /// Bytes on their way between shared memory and the engine.
    pub(crate) staging: Vec<u8>,
}

impl Cuda {
    /// A device that an engine is made for when the program greets, which nobody else uses.
    #[must_use]
    pub fn new(make: MakeEngine) -> Self {
        Self {
            gate: None,
            uncounted: 0,
            make: Some(make),
            engine: None,
            streams: BTreeSet::new(),
            events: BTreeMap::new(),
            modules: BTreeMap::new(),
            links: BTreeMap::new(),
            pending: None,
            refusal: String::new(),
            printed: Printed::default(),
            staging: Vec::new(),
        }
    }
}

impl Cuda {
    /// The same, whose engine works behind a gate.
    pub(crate) fn behind(mut self, gate: SharedGate) -> Self {
        self.gate = Some(gate);
        self
    }

    /// Others do not wait for an engine that this session does not use for a while.
    pub(crate) fn rest_engine(&self) {
        if let Some(gate) = &self.gate {
            gate.set_queued(0);
            gate.rest();
        }
    }

    /// Counts, each few commands, how many bytes of them wait: to look costs the program's processor a moment.
    pub(crate) fn count_queued(&mut self, queued: impl FnOnce() -> u64) {
        self.uncounted = (self.uncounted + 1) % COUNTED_EACH;
        if let Some(gate) = self.gate.as_ref().filter(|_| self.uncounted == 0) {
            gate.set_queued(queued());
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
