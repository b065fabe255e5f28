//! Streams and events: handles are minted here, and nobody waits for that.

use std::ffi::{c_int, c_uint};

use vgpu_cuda_wire::{CUevent, CUresult, CUstream, CUstreamCaptureStatus};

use super::{in_context, stream};
use crate::Done;

/// What a query gives.
fn ready(done: u64) -> Done {
    match done {
        0 => Err(CUresult::CUDA_ERROR_NOT_READY),
        _ => Ok(()),
    }
}

pub(crate) fn cuStreamCreate(stream: &mut CUstream, flags: c_uint) -> Done {
    cuStreamCreateWithPriority(stream, flags, 0)
}

pub(crate) fn cuStreamCreateWithPriority(
    stream: &mut CUstream,
    flags: c_uint,
    priority: c_int,
) -> Done {
    let session = in_context()?;
    if flags > 1 {
        return Err(CUresult::CUDA_ERROR_INVALID_VALUE);
    }
    *stream = session.contexts.streams.mint();
    let number = stream.addr() as u64;
    session.client().stream_create(number, flags, priority)
}

pub(crate) fn cuStreamDestroy_v2(stream: CUstream) -> Done {
    let session = in_context()?;
    let number = session.contexts.streams.remove(stream)?;
    session.client().stream_destroy(number)
}

pub(crate) fn cuStreamSynchronize(of: CUstream) -> Done {
    let session = in_context()?;
    let number = stream(session, of)?;
    session.client().stream_synchronize(number)
}

pub(crate) fn cuStreamQuery(of: CUstream) -> Done {
    let session = in_context()?;
    let number = stream(session, of)?;
    ready(session.client().stream_query(number)?)
}

pub(crate) fn cuStreamWaitEvent(of: CUstream, event: CUevent, _flags: c_uint) -> Done {
    let session = in_context()?;
    let number = stream(session, of)?;
    let event = session.contexts.events.check(event)?;
    session.client().stream_wait(number, event)
}

/// Nothing captures.
pub(crate) fn cuStreamIsCapturing(of: CUstream, status: &mut CUstreamCaptureStatus) -> Done {
    stream(in_context()?, of)?;
    *status = 0;
    Ok(())
}

pub(crate) fn cuEventCreate(event: &mut CUevent, flags: c_uint) -> Done {
    let session = in_context()?;
    *event = session.contexts.events.mint();
    session.client().event_create(event.addr() as u64, flags)
}

pub(crate) fn cuEventDestroy_v2(event: CUevent) -> Done {
    let session = in_context()?;
    let number = session.contexts.events.remove(event)?;
    session.client().event_destroy(number)
}

pub(crate) fn cuEventRecord(event: CUevent, of: CUstream) -> Done {
    let session = in_context()?;
    let event = session.contexts.events.check(event)?;
    let number = stream(session, of)?;
    session.client().event_record(event, number)
}

pub(crate) fn cuEventQuery(event: CUevent) -> Done {
    let session = in_context()?;
    let number = session.contexts.events.check(event)?;
    ready(session.client().event_query(number)?)
}

pub(crate) fn cuEventSynchronize(event: CUevent) -> Done {
    let session = in_context()?;
    let number = session.contexts.events.check(event)?;
    session.client().event_synchronize(number)
}

pub(crate) fn cuEventElapsedTime(milliseconds: &mut f32, start: CUevent, end: CUevent) -> Done {
    let session = in_context()?;
    let start = session.contexts.events.check(start)?;
    let end = session.contexts.events.check(end)?;
    let nanoseconds = session.client().event_elapsed(start, end)?;
    *milliseconds = (nanoseconds as f64 / 1e6) as f32;
    Ok(())
}

pub(crate) fn cuEventElapsedTime_v2(milliseconds: &mut f32, start: CUevent, end: CUevent) -> Done {
    cuEventElapsedTime(milliseconds, start, end)
}
