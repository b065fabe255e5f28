//! Functions of the program that a stream calls, and objects that end with graphs.

use std::ffi::{c_uint, c_void};

use vgpu_cuda_wire::{CUgraph, CUhostFn, CUresult, CUstream, CUstreamCallback, CUuserObject};

use super::current::{in_context, run, stream};
use crate::Done;
use crate::callbacks::Callback;
use crate::lock::lock;
use crate::pointers::{HostFunction, StreamFunction};
use crate::session::session;
use crate::work::Work;

const INVALID: CUresult = CUresult::CUDA_ERROR_INVALID_VALUE;

pub(crate) fn cuLaunchHostFunc(of: CUstream, function: CUhostFn, data: *mut c_void) -> Done {
    let session = in_context()?;
    let function = HostFunction::new(function, data)?;
    run(session, of, || Ok(Work::Host(function)))
}

/// Is called after an error too. Nothing that is captured does that.
pub(crate) fn cuStreamAddCallback(
    of: CUstream,
    function: CUstreamCallback,
    data: *mut c_void,
    flags: c_uint,
) -> Done {
    let session = in_context()?;
    stream(session, of)?;
    if flags != 0 {
        return Err(INVALID);
    }
    let function = StreamFunction::new(function, of, data)?;
    session.captures.refuse(of)?;
    let worker = &session.worker;
    worker
        .callbacks
        .submit(&worker.connection, Callback::Stream(function))
}

pub(crate) fn cuUserObjectCreate(
    object: &mut CUuserObject,
    data: *mut c_void,
    end: CUhostFn,
    count: c_uint,
    flags: c_uint,
) -> Done {
    // CU_USER_OBJECT_NO_DESTRUCTOR_SYNC, which has to be said.
    const NOT_WAITED_FOR: c_uint = 1;
    let session = session()?;
    if flags != NOT_WAITED_FOR || count == 0 || count > c_uint::MAX / 2 {
        return Err(INVALID);
    }
    let end = HostFunction::new(end, data)?;
    *object = session.graphs.objects.create(end, count);
    Ok(())
}

fn check_count(count: c_uint) -> Done {
    match count {
        1..=0x7fff_ffff => Ok(()),
        _ => Err(INVALID),
    }
}

pub(crate) fn cuUserObjectRetain(object: CUuserObject, count: c_uint) -> Done {
    check_count(count)?;
    session()?.graphs.objects.retain(object, count)
}

pub(crate) fn cuUserObjectRelease(object: CUuserObject, count: c_uint) -> Done {
    let session = session()?;
    check_count(count)?;
    session
        .graphs
        .objects
        .release(&session.worker, object, count)
}

pub(crate) fn cuGraphRetainUserObject(
    graph: CUgraph,
    object: CUuserObject,
    count: c_uint,
    flags: c_uint,
) -> Done {
    // CU_GRAPH_USER_OBJECT_MOVE: the program's references become the graph's.
    const MOVE: c_uint = 1;
    let session = session()?;
    check_count(count)?;
    let graph = session.graphs.get(graph)?;
    match flags {
        0 => session.graphs.objects.retain(object, count)?,
        MOVE => session.graphs.objects.retain(object, 0)?,
        _ => return Err(INVALID),
    }
    let mut graph = lock(&graph);
    let held = graph.objects.entry(object.addr()).or_default();
    *held = held.saturating_add(count);
    Ok(())
}

pub(crate) fn cuGraphReleaseUserObject(
    graph: CUgraph,
    object: CUuserObject,
    count: c_uint,
) -> Done {
    let session = session()?;
    check_count(count)?;
    let graph = session.graphs.get(graph)?;
    {
        let mut graph = lock(&graph);
        let held = graph.objects.get_mut(&object.addr()).ok_or(INVALID)?;
        *held = held.checked_sub(count).ok_or(INVALID)?;
        graph.objects.retain(|_, held| *held > 0);
    }
    session
        .graphs
        .objects
        .release(&session.worker, object, count)
}
