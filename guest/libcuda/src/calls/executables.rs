//! Graphs that can be launched: a launch sends their nodes one by one.

use std::ffi::{c_uint, c_ulonglong};
use std::ptr;
use std::sync::{Arc, Mutex};

use vgpu_cuda_wire::{
    CUDA_GRAPH_INSTANTIATE_PARAMS, CUDA_HOST_NODE_PARAMS, CUDA_MEMSET_NODE_PARAMS, CUcontext,
    CUevent, CUgraph, CUgraphExec, CUgraphExecUpdateResult, CUgraphExecUpdateResultInfo,
    CUgraphNode, CUresult, CUstream,
};

use super::current::{in_context, stream};
use super::nodes::{any, copy, event, fill, host, kernel};
use crate::Done;
use crate::graphs::{Executable, Shared, Step, replace};
use crate::lock::lock;
use crate::pointers::{CopyCall, KernelNode, NodeCall};
use crate::session::{Session, session};
use crate::work::Work;

const INVALID: CUresult = CUresult::CUDA_ERROR_INVALID_VALUE;

pub(crate) fn cuGraphInstantiateWithFlags(
    executable: &mut CUgraphExec,
    graph: CUgraph,
    flags: c_ulonglong,
) -> Done {
    // Memory of an earlier launch is freed, which there is none of; an upload; a launch by the
    // device; priorities of nodes, of which there is one.
    const UPLOAD: u64 = 2;
    const DEVICE: u64 = 4;
    const ALL: u64 = 15;
    let session = session()?;
    if flags & !ALL != 0 {
        return Err(INVALID);
    }
    if flags & DEVICE != 0 {
        return Err(crate::unsupported("a graph that kernels launch"));
    }
    let made = session.graphs.make(graph, flags & !UPLOAD)?;
    for (object, count) in &made.objects {
        let object = ptr::without_provenance_mut(*object);
        session.graphs.objects.retain(object, *count)?;
    }
    *executable = session.graphs.executables.add(Arc::new(Mutex::new(made)));
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

/// There is nothing to upload.
pub(crate) fn cuGraphInstantiateWithParams(
    executable: &mut CUgraphExec,
    graph: CUgraph,
    parameters: &mut CUDA_GRAPH_INSTANTIATE_PARAMS,
) -> Done {
    // CUgraphInstantiateResult.
    const SUCCESS: u32 = 0;
    const ERROR: u32 = 1;
    parameters.node = ptr::null_mut();
    let made = cuGraphInstantiateWithFlags(executable, graph, parameters.flags);
    parameters.result = if made.is_ok() { SUCCESS } else { ERROR };
    made
}

pub(crate) fn cuGraphExecDestroy(executable: CUgraphExec) -> Done {
    let session = session()?;
    let removed = session.graphs.executables.remove(executable)?;
    let objects = std::mem::take(&mut lock(&removed).objects);
    session
        .graphs
        .objects
        .release_all(&session.worker, &objects)
}

pub(crate) fn cuGraphExecGetFlags(executable: CUgraphExec, flags: &mut u64) -> Done {
    let executable = session()?.graphs.executables.get(executable)?;
    *flags = lock(&executable).flags;
    Ok(())
}

/// There is nothing to upload.
pub(crate) fn cuGraphUpload(executable: CUgraphExec, of: CUstream) -> Done {
    let session = in_context()?;
    stream(session, of)?;
    session.graphs.executables.get(executable).map(|_| ())
}

pub(crate) fn cuGraphLaunch(executable: CUgraphExec, of: CUstream) -> Done {
    let session = in_context()?;
    let number = stream(session, of)?;
    let executable = session.graphs.executables.get(executable)?;
    session.captures.refuse(of)?;
    session.worker.connection.fault()?;
    let executable = lock(&executable);
    let enabled = executable.steps.iter().filter(|step| step.enabled);
    let mut work = enabled.map(|step| &step.work);
    work.try_for_each(|work| work.send(&session.worker, number))
}

/// Changes a step of an executable graph, by the node that it is of.
fn change(
    executable: &Shared<Executable>,
    node: CUgraphNode,
    change: impl FnOnce(&mut Step) -> Done,
) -> Done {
    let mut executable = lock(executable);
    let mut steps = executable.steps.iter_mut();
    let step = steps.find(|step| step.node == node.addr());
    change(step.ok_or(INVALID)?)
}

/// Gives a node of an executable graph other parameters, of the same kind.
fn set(
    executable: CUgraphExec,
    node: CUgraphNode,
    to: impl FnOnce(&'static Session) -> Result<Work, CUresult>,
) -> Done {
    let session = session()?;
    let executable = session.graphs.executables.get(executable)?;
    let to = to(session)?;
    change(&executable, node, |step| replace(&mut step.work, to))
}

pub(crate) fn cuGraphExecKernelNodeSetParams(
    executable: CUgraphExec,
    node: CUgraphNode,
    parameters: KernelNode,
) -> Done {
    set(executable, node, |session| kernel(session, &parameters))
}

pub(crate) fn cuGraphExecKernelNodeSetParams_v2(
    executable: CUgraphExec,
    node: CUgraphNode,
    parameters: KernelNode,
) -> Done {
    cuGraphExecKernelNodeSetParams(executable, node, parameters)
}

pub(crate) fn cuGraphExecMemcpyNodeSetParams(
    executable: CUgraphExec,
    node: CUgraphNode,
    call: CopyCall,
    context: CUcontext,
) -> Done {
    session()?.contexts.check(context)?;
    set(executable, node, |session| copy(session, call))
}

pub(crate) fn cuGraphExecMemsetNodeSetParams(
    executable: CUgraphExec,
    node: CUgraphNode,
    parameters: &CUDA_MEMSET_NODE_PARAMS,
    context: CUcontext,
) -> Done {
    session()?.contexts.check(context)?;
    set(executable, node, |session| fill(session, parameters))
}

pub(crate) fn cuGraphExecHostNodeSetParams(
    executable: CUgraphExec,
    node: CUgraphNode,
    parameters: &CUDA_HOST_NODE_PARAMS,
) -> Done {
    set(executable, node, |_| host(parameters))
}

/// The nodes of a child take the parameters of those of a graph of the same shape.
pub(crate) fn cuGraphExecChildGraphNodeSetParams(
    executable: CUgraphExec,
    node: CUgraphNode,
    child: CUgraph,
) -> Done {
    let session = session()?;
    let executable = session.graphs.executables.get(executable)?;
    let from = session.graphs.make(child, 0)?;
    let mut executable = lock(&executable);
    let steps = &executable.steps;
    let place = steps.iter().position(|step| step.node == node.addr());
    let place = place.filter(|place| matches!(steps[*place].work, Work::Graph(_)));
    let first = place.ok_or(INVALID)? + 1;
    let range = first..first + from.steps.len();
    if executable.shape.get(range.clone()) != Some(&from.shape[..]) {
        return Err(INVALID);
    }
    for (step, from) in executable.steps[range].iter_mut().zip(from.steps) {
        step.work = from.work;
    }
    Ok(())
}

pub(crate) fn cuGraphExecEventRecordNodeSetEvent(
    executable: CUgraphExec,
    node: CUgraphNode,
    of: CUevent,
) -> Done {
    set(executable, node, |session| {
        event(session, of).map(Work::Record)
    })
}

pub(crate) fn cuGraphExecEventWaitNodeSetEvent(
    executable: CUgraphExec,
    node: CUgraphNode,
    of: CUevent,
) -> Done {
    set(executable, node, |session| {
        event(session, of).map(Work::Wait)
    })
}

pub(crate) fn cuGraphExecNodeSetParams(
    executable: CUgraphExec,
    node: CUgraphNode,
    parameters: NodeCall,
) -> Done {
    match parameters {
        NodeCall::Graph(child) => cuGraphExecChildGraphNodeSetParams(executable, node, child),
        _ => set(executable, node, |session| any(session, &parameters)),
    }
}

/// Whether a node may be left out of launches.
fn may_be_left_out(work: &Work) -> Done {
    match work {
        Work::Kernel(_) | Work::Copy(_) | Work::Fill(_) => Ok(()),
        _ => Err(INVALID),
    }
}

pub(crate) fn cuGraphNodeSetEnabled(
    executable: CUgraphExec,
    node: CUgraphNode,
    enabled: c_uint,
) -> Done {
    let executable = session()?.graphs.executables.get(executable)?;
    change(&executable, node, |step| {
        may_be_left_out(&step.work)?;
        step.enabled = enabled != 0;
        Ok(())
    })
}

pub(crate) fn cuGraphNodeGetEnabled(
    executable: CUgraphExec,
    node: CUgraphNode,
    enabled: &mut c_uint,
) -> Done {
    let executable = session()?.graphs.executables.get(executable)?;
    change(&executable, node, |step| {
        may_be_left_out(&step.work)?;
        *enabled = step.enabled.into();
        Ok(())
    })
}

/// Why an executable graph is not updated (`CUgraphExecUpdateResult`), and by which node.
struct Refused {
    why: u32,
    node: usize,
}

/// Takes the parameters of a graph of the same shape.
fn update(executable: &mut Executable, from: Executable) -> Result<(), Refused> {
    const TOPOLOGY: u32 = 2;
    const KIND: u32 = 3;
    let both = executable.shape.iter().zip(&from.shape).zip(&from.steps);
    for ((own, new), step) in both {
        let node = step.node;
        if own.0 != new.0 {
            return Err(Refused { why: KIND, node });
        }
        if own.1 != new.1 {
            return Err(Refused {
                why: TOPOLOGY,
                node,
            });
        }
    }
    if executable.shape.len() != from.shape.len() {
        return Err(Refused {
            why: TOPOLOGY,
            node: 0,
        });
    }
    for (step, from) in executable.steps.iter_mut().zip(from.steps) {
        step.work = from.work;
    }
    Ok(())
}

pub(crate) fn cuGraphExecUpdate_v2(
    executable: CUgraphExec,
    graph: CUgraph,
    result: &mut CUgraphExecUpdateResultInfo,
) -> Done {
    let session = session()?;
    let executable = session.graphs.executables.get(executable)?;
    let from = session.graphs.make(graph, 0)?;
    let done = update(&mut lock(&executable), from);
    let (why, node) = match &done {
        Ok(()) => (0, 0),
        Err(Refused { why, node }) => (*why, *node),
    };
    *result = CUgraphExecUpdateResultInfo {
        result: why,
        node: ptr::without_provenance_mut(node),
        from: ptr::null_mut(),
    };
    done.map_err(|_| CUresult::CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE)
}

pub(crate) fn cuGraphExecUpdate(
    executable: CUgraphExec,
    graph: CUgraph,
    node: Option<&mut CUgraphNode>,
    result: &mut CUgraphExecUpdateResult,
) -> Done {
    let mut info = CUgraphExecUpdateResultInfo {
        result: 0,
        node: ptr::null_mut(),
        from: ptr::null_mut(),
    };
    let done = cuGraphExecUpdate_v2(executable, graph, &mut info);
    *result = info.result;
    if let Some(node) = node {
        *node = info.node;
    }
    done
}
