//! Graphs of kernels: they live here, and a launch sends their kernels one by
//! one, in the order in which they were added.

use std::ffi::{c_uint, c_ulonglong};
use std::sync::{Arc, Mutex};

use vgpu_cuda_wire::{CUgraph, CUgraphExec, CUgraphNode, CUresult, CUstream};

use super::{in_context, stream};
use crate::Done;
use crate::modules::Graph;
use crate::pointers::KernelNode;
use crate::session::{lock, session};

const INVALID: CUresult = CUresult::CUDA_ERROR_INVALID_VALUE;

pub(crate) fn cuGraphCreate(graph: &mut CUgraph, flags: c_uint) -> Done {
    let session = session()?;
    if flags != 0 {
        return Err(INVALID);
    }
    *graph = session.modules.graphs.add(Graph::default());
    Ok(())
}

pub(crate) fn cuGraphDestroy(graph: CUgraph) -> Done {
    session()?.modules.graphs.remove(graph).map(|_| ())
}

pub(crate) fn cuGraphAddKernelNode(
    node: &mut CUgraphNode,
    graph: CUgraph,
    _dependencies: *const CUgraphNode,
    _count: usize,
    kernel: KernelNode,
) -> Done {
    let session = session()?;
    let graph = session.modules.graphs.get(graph)?;
    let launch = session.modules.launch_of(&kernel)?;
    *node = session.modules.nodes.add(());
    lock(&graph).insert(node.addr(), launch);
    Ok(())
}

pub(crate) fn cuGraphAddKernelNode_v2(
    node: &mut CUgraphNode,
    graph: CUgraph,
    dependencies: *const CUgraphNode,
    count: usize,
    kernel: KernelNode,
) -> Done {
    cuGraphAddKernelNode(node, graph, dependencies, count, kernel)
}

pub(crate) fn cuGraphInstantiateWithFlags(
    executable: &mut CUgraphExec,
    graph: CUgraph,
    _flags: c_ulonglong,
) -> Done {
    let session = session()?;
    let graph = session.modules.graphs.get(graph)?;
    let nodes = lock(&graph).clone();
    *executable = session.modules.executables.add(Arc::new(Mutex::new(nodes)));
    Ok(())
}

pub(crate) fn cuGraphInstantiate_v2(
    executable: &mut CUgraphExec,
    graph: CUgraph,
    _error_node: Option<&mut CUgraphNode>,
    log: &mut [u8],
    _log_size: usize,
) -> Done {
    if let Some(first) = log.first_mut() {
        *first = 0;
    }
    cuGraphInstantiateWithFlags(executable, graph, 0)
}

pub(crate) fn cuGraphExecDestroy(executable: CUgraphExec) -> Done {
    session()?
        .modules
        .executables
        .remove(executable)
        .map(|_| ())
}

pub(crate) fn cuGraphExecKernelNodeSetParams(
    executable: CUgraphExec,
    node: CUgraphNode,
    kernel: KernelNode,
) -> Done {
    let session = session()?;
    let executable = session.modules.executables.get(executable)?;
    let launch = session.modules.launch_of(&kernel)?;
    let mut nodes = lock(&executable);
    let place = nodes.get_mut(&node.addr()).ok_or(INVALID)?;
    *place = launch;
    Ok(())
}

pub(crate) fn cuGraphExecKernelNodeSetParams_v2(
    executable: CUgraphExec,
    node: CUgraphNode,
    kernel: KernelNode,
) -> Done {
    cuGraphExecKernelNodeSetParams(executable, node, kernel)
}

pub(crate) fn cuGraphLaunch(executable: CUgraphExec, of: CUstream) -> Done {
    let session = in_context()?;
    let stream = stream(session, of)?;
    let executable = session.modules.executables.get(executable)?;
    let nodes = lock(&executable);
    nodes
        .values()
        .try_for_each(|launch| launch.send(session, stream))
}
