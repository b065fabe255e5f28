//! Streams whose work becomes a graph.

use std::ptr;

use vgpu_cuda_wire::{
    CUgraph, CUgraphEdgeData, CUgraphNode, CUresult, CUstream, CUstreamCaptureMode,
    CUstreamCaptureStatus,
};

use super::current::{in_context, stream};
use crate::Done;
use crate::captures::exchange_mode;
use crate::lock::lock;

const INVALID: CUresult = CUresult::CUDA_ERROR_INVALID_VALUE;
/// `CU_STREAM_CAPTURE_MODE_RELAXED`, the last of the modes.
const RELAXED: u32 = 2;

fn check_mode(mode: CUstreamCaptureMode) -> Done {
    match mode {
        0..=RELAXED => Ok(()),
        _ => Err(INVALID),
    }
}

pub(crate) fn cuStreamIsCapturing(of: CUstream, status: &mut CUstreamCaptureStatus) -> Done {
    let session = in_context()?;
    stream(session, of)?;
    *status = session.captures.told(of).0;
    Ok(())
}

pub(crate) fn cuStreamBeginCapture_v2(of: CUstream, mode: CUstreamCaptureMode) -> Done {
    let session = in_context()?;
    stream(session, of)?;
    check_mode(mode)?;
    session.captures.begin(&session.graphs, of, mode, None)
}

/// What is captured comes after nodes that the graph has.
pub(crate) fn cuStreamBeginCaptureToGraph(
    of: CUstream,
    graph: CUgraph,
    dependencies: &[CUgraphNode],
    _data: *const CUgraphEdgeData,
    _count: usize,
    mode: CUstreamCaptureMode,
) -> Done {
    let session = in_context()?;
    stream(session, of)?;
    check_mode(mode)?;
    let last = nodes(graph, dependencies)?;
    session
        .captures
        .begin(&session.graphs, of, mode, Some((graph, last)))
}

/// Nodes, all of which a graph has.
fn nodes(graph: CUgraph, nodes: &[CUgraphNode]) -> Result<Vec<usize>, CUresult> {
    let graph = in_context()?.graphs.get(graph)?;
    let graph = lock(&graph);
    let all = nodes.iter().map(|node| match node.addr() {
        node if graph.nodes.contains_key(&node) => Ok(node),
        _ => Err(INVALID),
    });
    all.collect()
}

pub(crate) fn cuStreamEndCapture(of: CUstream, graph: &mut CUgraph) -> Done {
    let session = in_context()?;
    stream(session, of)?;
    *graph = ptr::null_mut();
    *graph = session.captures.end(&session.worker, &session.graphs, of)?;
    Ok(())
}

pub(crate) fn cuStreamGetCaptureInfo(
    of: CUstream,
    status: &mut CUstreamCaptureStatus,
    id: Option<&mut u64>,
) -> Done {
    cuStreamGetCaptureInfo_v2(of, status, id, None, None, None)
}

/// What describes a capture is written where there is one. The list of nodes is the program's to
/// read until the stream's next call.
pub(crate) fn cuStreamGetCaptureInfo_v2(
    of: CUstream,
    status: &mut CUstreamCaptureStatus,
    id: Option<&mut u64>,
    graph: Option<&mut CUgraph>,
    dependencies: Option<&mut *const CUgraphNode>,
    count: Option<&mut usize>,
) -> Done {
    let session = in_context()?;
    stream(session, of)?;
    let (now, told) = session.captures.told(of);
    *status = now;
    let Some(told) = told else {
        return Ok(());
    };
    if let Some(id) = id {
        *id = told.id;
    }
    if let Some(graph) = graph {
        *graph = ptr::without_provenance_mut(told.graph);
    }
    if let Some(dependencies) = dependencies {
        *dependencies = ptr::with_exposed_provenance(told.last);
    }
    if let Some(count) = count {
        *count = told.count;
    }
    Ok(())
}

/// All edges are plain ones.
pub(crate) fn cuStreamGetCaptureInfo_v3(
    of: CUstream,
    status: &mut CUstreamCaptureStatus,
    id: Option<&mut u64>,
    graph: Option<&mut CUgraph>,
    dependencies: Option<&mut *const CUgraphNode>,
    edges: Option<&mut *const CUgraphEdgeData>,
    count: Option<&mut usize>,
) -> Done {
    if let Some(edges) = edges {
        *edges = ptr::null();
    }
    cuStreamGetCaptureInfo_v2(of, status, id, graph, dependencies, count)
}

pub(crate) fn cuStreamUpdateCaptureDependencies(
    of: CUstream,
    dependencies: &[CUgraphNode],
    _count: usize,
    flags: u32,
) -> Done {
    // CU_STREAM_ADD_CAPTURE_DEPENDENCIES, and in place of those there are.
    const SET: u32 = 1;
    let session = in_context()?;
    stream(session, of)?;
    if flags > SET {
        return Err(INVALID);
    }
    let (_, told) = session.captures.told(of);
    let told = told.ok_or(CUresult::CUDA_ERROR_ILLEGAL_STATE)?;
    let on = nodes(ptr::without_provenance_mut(told.graph), dependencies)?;
    session.captures.depend(of, &on, flags != SET)
}

pub(crate) fn cuStreamUpdateCaptureDependencies_v2(
    of: CUstream,
    dependencies: &[CUgraphNode],
    _data: *const CUgraphEdgeData,
    count: usize,
    flags: u32,
) -> Done {
    cuStreamUpdateCaptureDependencies(of, dependencies, count, flags)
}

/// The thread's mode, which says what captures of others refuse it.
pub(crate) fn cuThreadExchangeStreamCaptureMode(mode: &mut CUstreamCaptureMode) -> Done {
    crate::session::session()?;
    check_mode(*mode)?;
    *mode = exchange_mode(*mode);
    Ok(())
}
