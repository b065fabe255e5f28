//! Graphs of kernels and copies: they live here, and a launch sends their nodes
//! one by one, in the order in which they were added.

use std::ffi::{c_uint, c_ulonglong};
use std::sync::{Arc, Mutex};

use vgpu_cuda_wire::{
    CUDA_MEMCPY3D, CUcontext, CUgraph, CUgraphExec, CUgraphNode, CUresult, CUstream,
};

use super::current::{in_context, stream};
use crate::Done;
use crate::graphs::{Copy, Graph, Node};
use crate::handles::mint;
use crate::launch::Launch;
use crate::lock::lock;
use crate::pointers::{KernelNode, Room};
use crate::session::{Session, session};

const INVALID: CUresult = CUresult::CUDA_ERROR_INVALID_VALUE;

pub(crate) fn cuGraphCreate(graph: &mut CUgraph, flags: c_uint) -> Done {
    let session = session()?;
    if flags != 0 {
        return Err(INVALID);
    }
    *graph = session.graphs.graphs.add(Graph::default());
    Ok(())
}

pub(crate) fn cuGraphDestroy(graph: CUgraph) -> Done {
    session()?.graphs.graphs.remove(graph).map(|_| ())
}

fn kernel(session: &Session, node: &KernelNode) -> Result<Node, CUresult> {
    let function = session.modules.functions.get(node.function)?;
    let mut room = Room::new();
    let (launch, parameters) = Launch::new(&session.connection, &function, node.call, &mut room)?;
    Ok(Node::Kernel(launch, parameters.to_vec()))
}

/// Adds a node that depends on others of its graph.
fn add(
    session: &Session,
    graph: CUgraph,
    dependencies: &[CUgraphNode],
    node: Node,
) -> Result<CUgraphNode, CUresult> {
    let graph = session.graphs.graphs.get(graph)?;
    let mut nodes = lock(&graph);
    let known = |other: &CUgraphNode| nodes.contains_key(&other.addr());
    if !dependencies.iter().all(known) {
        return Err(INVALID);
    }
    let handle = mint();
    nodes.insert(handle.addr(), node);
    Ok(handle)
}

/// Gives a node of an executable graph other parameters, of the same kind.
fn set(session: &Session, executable: CUgraphExec, node: CUgraphNode, to: Node) -> Done {
    let executable = session.graphs.executables.get(executable)?;
    let mut nodes = lock(&executable);
    let place = nodes.get_mut(&node.addr()).ok_or(INVALID)?;
    if std::mem::discriminant(place) != std::mem::discriminant(&to) {
        return Err(INVALID);
    }
    *place = to;
    Ok(())
}

pub(crate) fn cuGraphAddKernelNode(
    node: &mut CUgraphNode,
    graph: CUgraph,
    dependencies: &[CUgraphNode],
    _count: usize,
    kernel: KernelNode,
) -> Done {
    let session = session()?;
    *node = add(
        session,
        graph,
        dependencies,
        self::kernel(session, &kernel)?,
    )?;
    Ok(())
}

pub(crate) fn cuGraphAddKernelNode_v2(
    node: &mut CUgraphNode,
    graph: CUgraph,
    dependencies: &[CUgraphNode],
    count: usize,
    kernel: KernelNode,
) -> Done {
    cuGraphAddKernelNode(node, graph, dependencies, count, kernel)
}

pub(crate) fn cuGraphAddMemcpyNode(
    node: &mut CUgraphNode,
    graph: CUgraph,
    dependencies: &[CUgraphNode],
    _count: usize,
    copy: &CUDA_MEMCPY3D,
    context: CUcontext,
) -> Done {
    let session = session()?;
    session.contexts.check(context)?;
    let copy = Node::Copy(Copy::new(&session.allocations, copy)?);
    *node = add(session, graph, dependencies, copy)?;
    Ok(())
}

pub(crate) fn cuGraphInstantiateWithFlags(
    executable: &mut CUgraphExec,
    graph: CUgraph,
    _flags: c_ulonglong,
) -> Done {
    let session = session()?;
    let graph = session.graphs.graphs.get(graph)?;
    let nodes = lock(&graph).clone();
    *executable = session.graphs.executables.add(Arc::new(Mutex::new(nodes)));
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
    let removed = session()?.graphs.executables.remove(executable);
    removed.map(|_| ())
}

pub(crate) fn cuGraphExecKernelNodeSetParams(
    executable: CUgraphExec,
    node: CUgraphNode,
    kernel: KernelNode,
) -> Done {
    let session = session()?;
    set(session, executable, node, self::kernel(session, &kernel)?)
}

pub(crate) fn cuGraphExecMemcpyNodeSetParams(
    executable: CUgraphExec,
    node: CUgraphNode,
    copy: &CUDA_MEMCPY3D,
    context: CUcontext,
) -> Done {
    let session = session()?;
    session.contexts.check(context)?;
    let copy = Copy::new(&session.allocations, copy)?;
    set(session, executable, node, Node::Copy(copy))
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
    let executable = session.graphs.executables.get(executable)?;
    session.connection.fault()?;
    let nodes = lock(&executable);
    nodes
        .values()
        .try_for_each(|node| node.send(&session.connection, stream))
}
