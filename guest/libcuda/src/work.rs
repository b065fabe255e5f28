//! What streams do, and graphs' nodes are.

use std::ffi::c_void;
use std::sync::Arc;

use vgpu_cuda_wire::CUgraphNodeType;

use crate::Done;
use crate::callbacks::Callback;
use crate::launch::Launch;
use crate::pointers::HostFunction;
use crate::transfers::{Copy, Fill};
use crate::worker::Worker;

/// Something that a stream does, or a graph's node.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    Kernel(Kernel),
    Copy(Box<Copy>),
    Fill(Fill),
    Host(HostFunction),
    /// Another graph, by its handle.
    Graph(usize),
    Empty,
    Wait(usize),
    Record(usize),
}

/// A kernel's launch.
#[derive(Clone, Debug)]
pub(crate) struct Kernel {
    /// The function's handle.
    pub(crate) function: usize,
    pub(crate) launch: Launch,
    pub(crate) parameters: Arc<Parameters>,
}

impl Work {
    /// Its type as a graph's node.
    pub(crate) const fn kind(&self) -> CUgraphNodeType {
        match self {
            Self::Kernel(_) => 0,
            Self::Copy(_) => 1,
            Self::Fill(_) => 2,
            Self::Host(_) => 3,
            Self::Graph(_) => 4,
            Self::Empty => 5,
            Self::Wait(_) => 6,
            Self::Record(_) => 7,
        }
    }

    /// Sends it to a stream.
    pub(crate) fn send(&self, worker: &'static Worker, stream: u64) -> Done {
        let client = worker.connection.client();
        match self {
            Self::Kernel(kernel) => {
                let block = kernel.parameters.block();
                kernel.launch.send(&worker.connection, stream, block)
            }
            Self::Copy(copy) => copy.send(worker, stream),
            Self::Fill(fill) => fill.send(worker, stream),
            Self::Host(function) => worker
                .callbacks
                .submit(&worker.connection, Callback::Host(*function)),
            Self::Wait(event) => client.stream_wait(stream, *event as u64),
            Self::Record(event) => client.event_record(*event as u64, stream),
            // A graph that is launched has the nodes of those in it.
            Self::Graph(_) | Self::Empty => Ok(()),
        }
    }
}

/// A kernel's block of parameters, and where each is in it.
#[derive(Debug)]
pub(crate) struct Parameters {
    block: Vec<u8>,
    /// Addresses: the list that a program reads.
    places: Vec<usize>,
}

impl Parameters {
    /// A copy of a block, with the parameters' offsets and sizes.
    pub(crate) fn new(block: &[u8], places: &[(u32, u32)]) -> Self {
        let block = block.to_vec();
        let start = block.as_ptr().expose_provenance();
        let places = places.iter().map(|(offset, _)| start + *offset as usize);
        Self {
            places: places.collect(),
            block,
        }
    }

    pub(crate) fn block(&self) -> &[u8] {
        &self.block
    }

    /// The list of pointers to the parameters. It stays as long as this does.
    pub(crate) fn list(&self) -> *mut *mut c_void {
        self.places.as_ptr().cast_mut().cast()
    }
}
