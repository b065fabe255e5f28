//! What records a stream's work as a graph: nothing does, and no stream is ever
//! capturing. Whoever begins is refused, and can launch one by one.

use std::cell::Cell;

use vgpu_cuda_wire::{
    CUgraph, CUgraphEdgeData, CUgraphNode, CUresult, CUstream, CUstreamCaptureMode,
    CUstreamCaptureStatus,
};

use super::current::{in_context, stream};
use crate::Done;

const INVALID: CUresult = CUresult::CUDA_ERROR_INVALID_VALUE;
/// `CU_STREAM_CAPTURE_MODE_RELAXED`, the last of the modes.
const RELAXED: u32 = 2;

thread_local! {
    static MODE: Cell<CUstreamCaptureMode> = const { Cell::new(0) };
}

pub(crate) fn cuStreamIsCapturing(of: CUstream, status: &mut CUstreamCaptureStatus) -> Done {
    stream(in_context()?, of)?;
    *status = 0;
    Ok(())
}

pub(crate) fn cuStreamBeginCapture_v2(of: CUstream, mode: CUstreamCaptureMode) -> Done {
    stream(in_context()?, of)?;
    match mode {
        0..=RELAXED => Err(crate::unsupported("cuStreamBeginCapture")),
        _ => Err(INVALID),
    }
}

pub(crate) fn cuStreamEndCapture(of: CUstream, graph: &mut CUgraph) -> Done {
    stream(in_context()?, of)?;
    *graph = std::ptr::null_mut();
    Err(CUresult::CUDA_ERROR_ILLEGAL_STATE)
}

/// What describes a capture is written where there is one.
pub(crate) fn cuStreamGetCaptureInfo_v2(
    of: CUstream,
    status: &mut CUstreamCaptureStatus,
    _id: Option<&mut u64>,
    _graph: *mut CUgraph,
    _dependencies: *mut *const CUgraphNode,
    _count: *mut usize,
) -> Done {
    cuStreamIsCapturing(of, status)
}

pub(crate) fn cuStreamGetCaptureInfo_v3(
    of: CUstream,
    status: &mut CUstreamCaptureStatus,
    _id: Option<&mut u64>,
    _graph: *mut CUgraph,
    _dependencies: *mut *const CUgraphNode,
    _edges: *mut *const CUgraphEdgeData,
    _count: *mut usize,
) -> Done {
    cuStreamIsCapturing(of, status)
}

/// The thread's mode, which says what captures of others refuse it.
pub(crate) fn cuThreadExchangeStreamCaptureMode(mode: &mut CUstreamCaptureMode) -> Done {
    crate::session::session()?;
    match *mode {
        0..=RELAXED => *mode = MODE.replace(*mode),
        _ => return Err(INVALID),
    }
    Ok(())
}
