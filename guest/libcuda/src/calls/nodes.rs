//! Nodes of graphs, and their parameters.

use std::ptr;
use std::sync::Arc;

use vgpu_cuda_wire::{
    CUDA_HOST_NODE_PARAMS, CUDA_KERNEL_NODE_PARAMS, CUDA_MEMCPY3D, CUDA_MEMSET_NODE_PARAMS,
    CUcontext, CUevent, CUgraph, CUgraphEdgeData, CUgraphNode, CUgraphNodeType, CUresult,
};

use crate::Done;
use crate::contexts::current;
use crate::launch::Launch;
use crate::pointers::{CopyCall, HostFunction, KernelNode, KernelNodeOut, NodeCall, Room};
use crate::session::{Session, session};
use crate::transfers::{Copy, Fill};
use crate::work::{Kernel, Parameters, Work};

const INVALID: CUresult = CUresult::CUDA_ERROR_INVALID_VALUE;

pub(super) fn kernel(session: &'static Session, node: &KernelNode) -> Result<Work, CUresult> {
    let function = session.modules.functions.get(node.function)?;
    let mut room = Room::new();
    let (launch, block) = Launch::new(&session.worker.connection, &function, node.call, &mut room)?;
    Ok(Work::Kernel(Kernel {
        function: node.function.addr(),
        launch,
        parameters: Arc::new(Parameters::new(block, &function.about.parameters)),
    }))
}

/// A copy, which is of something.
pub(super) fn copy(session: &'static Session, call: CopyCall) -> Result<Work, CUresult> {
    if [call.width, call.rows, call.slices].contains(&0) {
        return Err(INVALID);
    }
    Ok(Work::Copy(Box::new(Copy::new(&session.worker, call)?)))
}

pub(super) fn fill(
    session: &'static Session,
    node: &CUDA_MEMSET_NODE_PARAMS,
) -> Result<Work, CUresult> {
    let fill = Fill {
        to: node.destination,
        pitch: node.pitch,
        value: node.value,
        element: u8::try_from(node.element).map_err(|_| INVALID)?,
        width: node.width,
        rows: node.height,
    };
    if node.width == 0 || node.height == 0 {
        return Err(INVALID);
    }
    fill.check(&session.worker)?;
    Ok(Work::Fill(fill))
}

pub(super) fn host(node: &CUDA_HOST_NODE_PARAMS) -> Result<Work, CUresult> {
    HostFunction::new(node.function, node.data).map(Work::Host)
}

/// A graph as a node of another: a copy of it.
pub(super) fn child(session: &'static Session, graph: CUgraph) -> Result<Work, CUresult> {
    let graph = session.graphs.now(graph)?;
    Ok(Work::Graph(session.graphs.copy(&graph, true)?.addr()))
}

pub(super) fn event(session: &'static Session, event: CUevent) -> Result<usize, CUresult> {
    session.contexts.events.get(event)?;
    Ok(event.addr())
}

/// Work of a node of any kind.
pub(super) fn any(session: &'static Session, node: &NodeCall) -> Result<Work, CUresult> {
    match node {
        NodeCall::Kernel(node) => kernel(session, node),
        NodeCall::Copy(call) => copy(session, *call),
        NodeCall::Fill(node) => fill(session, node),
        NodeCall::Host(node) => host(node),
        NodeCall::Graph(graph) => child(session, *graph),
        NodeCall::Empty => Ok(Work::Empty),
        NodeCall::Wait(event) => self::event(session, *event).map(Work::Wait),
        NodeCall::Record(event) => self::event(session, *event).map(Work::Record),
        NodeCall::Other(8..=13) => Err(crate::unsupported("a graph's node of that kind")),
        NodeCall::Other(_) => Err(INVALID),
    }
}

fn add(
    node: &mut CUgraphNode,
    graph: CUgraph,
    dependencies: &[CUgraphNode],
    work: impl FnOnce(&'static Session) -> Result<Work, CUresult>,
) -> Done {
    let session = session()?;
    session.graphs.get(graph)?;
    let after: Vec<_> = dependencies.iter().map(|node| node.addr()).collect();
    let added = session.graphs.add(graph, &after, work(session)?)?;
    *node = ptr::without_provenance_mut(added);
    Ok(())
}

pub(crate) fn cuGraphAddKernelNode(
    node: &mut CUgraphNode,
    graph: CUgraph,
    dependencies: &[CUgraphNode],
    _count: usize,
    parameters: KernelNode,
) -> Done {
    add(node, graph, dependencies, |session| {
        kernel(session, &parameters)
    })
}

pub(crate) fn cuGraphAddKernelNode_v2(
    node: &mut CUgraphNode,
    graph: CUgraph,
    dependencies: &[CUgraphNode],
    count: usize,
    parameters: KernelNode,
) -> Done {
    cuGraphAddKernelNode(node, graph, dependencies, count, parameters)
}

pub(crate) fn cuGraphAddMemcpyNode(
    node: &mut CUgraphNode,
    graph: CUgraph,
    dependencies: &[CUgraphNode],
    _count: usize,
    call: CopyCall,
    context: CUcontext,
) -> Done {
    session()?.contexts.check(context)?;
    add(node, graph, dependencies, |session| copy(session, call))
}

pub(crate) fn cuGraphAddMemsetNode(
    node: &mut CUgraphNode,
    graph: CUgraph,
    dependencies: &[CUgraphNode],
    _count: usize,
    parameters: &CUDA_MEMSET_NODE_PARAMS,
    context: CUcontext,
) -> Done {
    session()?.contexts.check(context)?;
    add(node, graph, dependencies, |session| {
        fill(session, parameters)
    })
}

pub(crate) fn cuGraphAddHostNode(
    node: &mut CUgraphNode,
    graph: CUgraph,
    dependencies: &[CUgraphNode],
    _count: usize,
    parameters: &CUDA_HOST_NODE_PARAMS,
) -> Done {
    add(node, graph, dependencies, |_| host(parameters))
}

pub(crate) fn cuGraphAddChildGraphNode(
    node: &mut CUgraphNode,
    graph: CUgraph,
    dependencies: &[CUgraphNode],
    _count: usize,
    of: CUgraph,
) -> Done {
    if of == graph {
        return Err(INVALID);
    }
    add(node, graph, dependencies, |session| child(session, of))
}

pub(crate) fn cuGraphAddEmptyNode(
    node: &mut CUgraphNode,
    graph: CUgraph,
    dependencies: &[CUgraphNode],
    _count: usize,
) -> Done {
    add(node, graph, dependencies, |_| Ok(Work::Empty))
}

pub(crate) fn cuGraphAddEventRecordNode(
    node: &mut CUgraphNode,
    graph: CUgraph,
    dependencies: &[CUgraphNode],
    _count: usize,
    of: CUevent,
) -> Done {
    add(node, graph, dependencies, |session| {
        event(session, of).map(Work::Record)
    })
}

pub(crate) fn cuGraphAddEventWaitNode(
    node: &mut CUgraphNode,
    graph: CUgraph,
    dependencies: &[CUgraphNode],
    _count: usize,
    of: CUevent,
) -> Done {
    add(node, graph, dependencies, |session| {
        event(session, of).map(Work::Wait)
    })
}

pub(crate) fn cuGraphAddNode(
    node: &mut CUgraphNode,
    graph: CUgraph,
    dependencies: &[CUgraphNode],
    _count: usize,
    parameters: NodeCall,
) -> Done {
    add(node, graph, dependencies, |session| {
        any(session, &parameters)
    })
}

/// All edges are plain ones.
pub(crate) fn cuGraphAddNode_v2(
    node: &mut CUgraphNode,
    graph: CUgraph,
    dependencies: &[CUgraphNode],
    _data: *const CUgraphEdgeData,
    count: usize,
    parameters: NodeCall,
) -> Done {
    cuGraphAddNode(node, graph, dependencies, count, parameters)
}

fn kernel_of(node: CUgraphNode) -> Result<CUDA_KERNEL_NODE_PARAMS, CUresult> {
    match session()?.graphs.work(node)? {
        Work::Kernel(kernel) => Ok(CUDA_KERNEL_NODE_PARAMS {
            function: ptr::without_provenance_mut(kernel.function),
            grid: kernel.launch.grid(),
            block: kernel.launch.block(),
            shared: kernel.launch.shared(),
            parameters: kernel.parameters.list(),
            extra: ptr::null_mut(),
        }),
        _ => Err(INVALID),
    }
}

/// The list of parameters is the program's to read until the node has others.
pub(crate) fn cuGraphKernelNodeGetParams(
    node: CUgraphNode,
    parameters: &mut CUDA_KERNEL_NODE_PARAMS,
) -> Done {
    *parameters = kernel_of(node)?;
    Ok(())
}

pub(crate) fn cuGraphKernelNodeGetParams_v2(
    node: CUgraphNode,
    parameters: KernelNodeOut<'_>,
) -> Done {
    parameters.put(kernel_of(node)?, current());
    Ok(())
}

pub(crate) fn cuGraphKernelNodeSetParams(node: CUgraphNode, parameters: KernelNode) -> Done {
    let session = session()?;
    session.graphs.set(node, kernel(session, &parameters)?)
}

pub(crate) fn cuGraphKernelNodeSetParams_v2(node: CUgraphNode, parameters: KernelNode) -> Done {
    cuGraphKernelNodeSetParams(node, parameters)
}

pub(crate) fn cuGraphMemcpyNodeGetParams(
    node: CUgraphNode,
    parameters: &mut CUDA_MEMCPY3D,
) -> Done {
    match session()?.graphs.work(node)? {
        Work::Copy(copy) => *parameters = copy.call().stated(),
        _ => return Err(INVALID),
    }
    Ok(())
}

pub(crate) fn cuGraphMemcpyNodeSetParams(node: CUgraphNode, call: CopyCall) -> Done {
    let session = session()?;
    session.graphs.set(node, copy(session, call)?)
}

pub(crate) fn cuGraphMemsetNodeGetParams(
    node: CUgraphNode,
    parameters: &mut CUDA_MEMSET_NODE_PARAMS,
) -> Done {
    match session()?.graphs.work(node)? {
        Work::Fill(fill) => {
            *parameters = CUDA_MEMSET_NODE_PARAMS {
                destination: fill.to,
                pitch: fill.pitch,
                value: fill.value,
                element: fill.element.into(),
                width: fill.width,
                height: fill.rows,
            };
        }
        _ => return Err(INVALID),
    }
    Ok(())
}

pub(crate) fn cuGraphMemsetNodeSetParams(
    node: CUgraphNode,
    parameters: &CUDA_MEMSET_NODE_PARAMS,
) -> Done {
    let session = session()?;
    session.graphs.set(node, fill(session, parameters)?)
}

pub(crate) fn cuGraphHostNodeGetParams(
    node: CUgraphNode,
    parameters: &mut CUDA_HOST_NODE_PARAMS,
) -> Done {
    match session()?.graphs.work(node)? {
        Work::Host(function) => *parameters = function.stated(),
        _ => return Err(INVALID),
    }
    Ok(())
}

pub(crate) fn cuGraphHostNodeSetParams(
    node: CUgraphNode,
    parameters: &CUDA_HOST_NODE_PARAMS,
) -> Done {
    session()?.graphs.set(node, host(parameters)?)
}

pub(crate) fn cuGraphChildGraphNodeGetGraph(node: CUgraphNode, graph: &mut CUgraph) -> Done {
    match session()?.graphs.work(node)? {
        Work::Graph(child) => *graph = ptr::without_provenance_mut(child),
        _ => return Err(INVALID),
    }
    Ok(())
}

pub(crate) fn cuGraphEventRecordNodeGetEvent(node: CUgraphNode, of: &mut CUevent) -> Done {
    match session()?.graphs.work(node)? {
        Work::Record(event) => *of = ptr::without_provenance_mut(event),
        _ => return Err(INVALID),
    }
    Ok(())
}

pub(crate) fn cuGraphEventRecordNodeSetEvent(node: CUgraphNode, of: CUevent) -> Done {
    let session = session()?;
    session.graphs.set(node, Work::Record(event(session, of)?))
}

pub(crate) fn cuGraphEventWaitNodeGetEvent(node: CUgraphNode, of: &mut CUevent) -> Done {
    match session()?.graphs.work(node)? {
        Work::Wait(event) => *of = ptr::without_provenance_mut(event),
        _ => return Err(INVALID),
    }
    Ok(())
}

pub(crate) fn cuGraphEventWaitNodeSetEvent(node: CUgraphNode, of: CUevent) -> Done {
    let session = session()?;
    session.graphs.set(node, Work::Wait(event(session, of)?))
}

pub(crate) fn cuGraphNodeGetType(node: CUgraphNode, kind: &mut CUgraphNodeType) -> Done {
    *kind = session()?.graphs.work(node)?.kind();
    Ok(())
}

pub(crate) fn cuGraphNodeSetParams(node: CUgraphNode, parameters: NodeCall) -> Done {
    let session = session()?;
    // The kind is looked at first: a child graph would be a copy that nobody ends.
    match parameters {
        NodeCall::Graph(_) => Err(INVALID),
        _ => session.graphs.set(node, any(session, &parameters)?),
    }
}

pub(crate) fn cuGraphDestroyNode(node: CUgraphNode) -> Done {
    let session = session()?;
    session.graphs.remove(&session.worker, node)
}
