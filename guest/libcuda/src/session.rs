//! The process's session: the way to the worker, and what this process knows of
//! what is there.

use std::sync::OnceLock;

use vgpu_cuda_wire::{CUcontext, CUresult};
use vgpu_transport::Transport;

use crate::allocations::{Allocations, Backing};
use crate::callbacks::Callbacks;
use crate::captures::Captures;
use crate::connection::Connection;
use crate::contexts::Contexts;
use crate::graphs::Graphs;
use crate::mappings::Mappings;
use crate::modules::{Module, Modules};
use crate::pointers::{OfProcess, Page};
use crate::pools::Pools;
use crate::worker::Worker;
use crate::{Done, rare};

/// Whether it was opened, and why it was not.
static OPENED: OnceLock<Done> = OnceLock::new();
static SESSION: OfProcess<Session> = OfProcess::new();

/// A session with the worker.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) worker: Worker,
    pub(crate) contexts: Contexts,
    pub(crate) modules: Modules,
    pub(crate) graphs: Graphs,
    pub(crate) pools: Pools,
    pub(crate) mappings: Mappings,
    pub(crate) captures: Captures,
}

/// Opens the process's session, where it has none.
pub(crate) fn open() -> Done {
    let opened = OPENED.get_or_init(|| {
        let page = Page::new()?;
        SESSION.set(page, Session::open()?);
        Ok(())
    });
    (*opened)?;
    // A child of fork may not use its parent's.
    session().map(|_| ())
}

/// The process's session.
#[inline]
pub(crate) fn session() -> Result<&'static Session, CUresult> {
    let own = SESSION.get();
    own.ok_or_else(|| rare(CUresult::CUDA_ERROR_NOT_INITIALIZED))
}

impl Session {
    fn open() -> Result<Self, CUresult> {
        let connection = Connection::open()?;
        let [_, (first, last)] = connection.addresses();
        Ok(Self {
            mappings: Mappings::new(first, last),
            captures: Captures::default(),
            worker: Worker {
                connection,
                allocations: Allocations::default(),
                callbacks: Callbacks::default(),
            },
            contexts: Contexts::default(),
            modules: Modules::default(),
            graphs: Graphs::default(),
            pools: Pools::default(),
        })
    }

    /// Unloads a module that was taken off.
    pub(crate) fn unload(&self, module: &Module) -> Done {
        self.worker.allocations.remove_variables(module);
        self.worker.connection.client().module_unload(module.number)
    }

    /// Ends all that belongs to a context. Gives the first error, and goes on.
    pub(crate) fn clear(&self, context: CUcontext) -> Done {
        let (client, context) = (self.worker.connection.client(), context.addr());
        let mut first = Ok(());
        let mut note = |done: Done| first = first.and(done);
        for module in self.modules.drain(context) {
            note(self.unload(&module));
        }
        for (event, _) in self.contexts.events.drain(|event| event.context == context) {
            note(client.event_destroy(event.addr() as u64));
        }
        for (stream, _) in self
            .contexts
            .streams
            .drain(|stream| stream.context == context)
        {
            note(client.stream_destroy(stream.addr() as u64));
        }
        for (address, allocation) in self.worker.allocations.remove_of(context) {
            self.pools.give(&allocation);
            note(client.memory_free(address));
        }
        let pinned = self.worker.allocations.unpin_of(context);
        // The worker has done what names a region when it answers, and what kernels printed is out.
        note(client.synchronize());
        for (region, _) in pinned.iter().filter_map(Backing::region) {
            let removed = self.worker.connection.transport().remove_region(region);
            note(removed.map_err(|_| CUresult::CUDA_ERROR_DEVICE_UNAVAILABLE));
        }
        first
    }
}
