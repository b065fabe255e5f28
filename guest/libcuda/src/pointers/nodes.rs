//! Parameters of a graph's nodes, and lists of nodes.

use std::ffi::{c_uint, c_void};
use std::ptr;

use vgpu_cuda_wire::{
    CUDA_HOST_NODE_PARAMS, CUDA_KERNEL_NODE_PARAMS, CUDA_MEMCPY3D, CUDA_MEMSET_NODE_PARAMS,
    CUevent, CUgraph, CUgraphEdgeData, CUgraphNodeParams, CUresult,
};

use super::arguments::{KernelNode, kernel_node};
use super::host::{CopyCall, copy_3d};
use super::references::{INVALID, input};

/// A node's parameters, by its kind.
#[derive(Clone, Copy, Debug)]
pub(crate) enum NodeCall {
    Kernel(KernelNode),
    Copy(CopyCall),
    Fill(CUDA_MEMSET_NODE_PARAMS),
    Host(CUDA_HOST_NODE_PARAMS),
    Graph(CUgraph),
    Empty,
    Wait(CUevent),
    Record(CUevent),
    /// Of another kind, which is none here.
    Other(c_uint),
}

/// `CUDA_MEMCPY_NODE_PARAMS`.
#[repr(C)]
struct CopyNode {
    flags: [u32; 2],
    context: *mut c_void,
    copy: CUDA_MEMCPY3D,
}

/// A node's parameters.
///
/// # Safety
/// The pointer is null, or to parameters of the kind that they state, whose pointers are valid as
/// the driver API states it for a node.
pub(crate) unsafe fn node_of_any_kind(
    pointer: *mut CUgraphNodeParams,
) -> Result<NodeCall, CUresult> {
    // SAFETY: the caller's promise.
    let node = unsafe { input(pointer.cast_const()) }?;
    let inner: *const c_void = ptr::from_ref(&node.parameters).cast();
    Ok(match node.kind {
        // SAFETY: the caller's promise: the union has the parameters of that kind.
        0 => NodeCall::Kernel(unsafe { kernel_node(inner.cast()) }?),
        1 => {
            // SAFETY: as above.
            let copy: &CopyNode = unsafe { input(inner.cast()) }?;
            // SAFETY: as above.
            NodeCall::Copy(unsafe { copy_3d(&raw const copy.copy) }?)
        }
        // SAFETY: as above.
        2 => NodeCall::Fill(*unsafe { input(inner.cast()) }?),
        // SAFETY: as above.
        3 => NodeCall::Host(*unsafe { input(inner.cast()) }?),
        // SAFETY: as above.
        4 => NodeCall::Graph(*unsafe { input(inner.cast()) }?),
        5 => NodeCall::Empty,
        // SAFETY: as above.
        6 => NodeCall::Wait(*unsafe { input(inner.cast()) }?),
        // SAFETY: as above.
        7 => NodeCall::Record(*unsafe { input(inner.cast()) }?),
        other => NodeCall::Other(other),
    })
}

/// A kernel node's parameters as the later version has them.
#[derive(Debug)]
pub(crate) struct KernelNodeOut<'a>(&'a mut KernelNodeV2);

#[derive(Debug)]
#[repr(C)]
struct KernelNodeV2 {
    node: CUDA_KERNEL_NODE_PARAMS,
    kernel: *mut c_void,
    context: *mut c_void,
}

/// A place for them.
///
/// # Safety
/// The pointer is null, or valid for writes of that version's structure until the call returns.
pub(crate) unsafe fn kernel_node_out<'a>(
    pointer: *mut CUDA_KERNEL_NODE_PARAMS,
) -> Result<KernelNodeOut<'a>, CUresult> {
    // SAFETY: the caller's promise.
    let node = unsafe { pointer.cast::<KernelNodeV2>().as_mut() };
    node.map(KernelNodeOut).ok_or(INVALID)
}

impl KernelNodeOut<'_> {
    pub(crate) fn put(self, node: CUDA_KERNEL_NODE_PARAMS, context: *mut c_void) {
        *self.0 = KernelNodeV2 {
            node,
            kernel: ptr::null_mut(),
            context,
        };
    }
}

/// Room for handles: as many as a count beside it says, or none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handles(*mut *mut c_void);

/// Room for handles.
///
/// # Safety
/// The pointer is null, or valid for writes of as many handles as the call's count says.
#[allow(clippy::unnecessary_wraps)]
pub(crate) unsafe fn handles(pointer: *mut *mut c_void) -> Result<Handles, CUresult> {
    Ok(Handles(pointer))
}

impl Handles {
    /// Writes handles, and null behind them; how many were written, or are there, goes to `count`.
    pub(crate) fn fill(self, all: impl ExactSizeIterator<Item = usize>, room: usize) {
        if self.0.is_null() {
            return;
        }
        let null = std::iter::repeat(0);
        for (n, handle) in all.chain(null).take(room).enumerate() {
            // SAFETY: the promise of `handles`; n is below the count.
            let place = unsafe { self.0.add(n) };
            // SAFETY: as above.
            unsafe { place.write(ptr::without_provenance_mut(handle)) };
        }
    }

    pub(crate) const fn is_there(self) -> bool {
        !self.0.is_null()
    }
}

/// Room for what edges are, as many as a count beside it says, or none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edges(*mut CUgraphEdgeData);

/// Room for what edges are.
///
/// # Safety
/// As [`handles`].
#[allow(clippy::unnecessary_wraps)]
pub(crate) unsafe fn edges(pointer: *mut CUgraphEdgeData) -> Result<Edges, CUresult> {
    Ok(Edges(pointer))
}

impl Edges {
    /// Says of so many that they are plain ones.
    pub(crate) fn plain(self, count: usize) {
        if !self.0.is_null() {
            for n in 0..count {
                // SAFETY: the promise of `edges`.
                let place = unsafe { self.0.add(n) };
                // SAFETY: as above.
                unsafe { place.write(CUgraphEdgeData::default()) };
            }
        }
    }
}
