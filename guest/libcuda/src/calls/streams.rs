//! Streams and events: handles are minted here, and nobody waits for that.

use std::ffi::{c_int, c_uint};
use std::ptr;

use vgpu_cuda_wire::{CUcontext, CUevent, CUresult, CUstream, limits};

use super::current::{in_context, stream};
use crate::Done;
use crate::contexts::{Event, Stream, current};

const INVALID: CUresult = CUresult::CUDA_ERROR_INVALID_VALUE;
const NO_HANDLE: CUresult = CUresult::CUDA_ERROR_INVALID_HANDLE;

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
        return Err(INVALID);
    }
    let new = Stream {
        context: current().addr(),
        flags,
        // There is one priority: any other is brought into that range.
        priority: 0,
    };
    let streams = &session.contexts.streams;
    *stream = streams.create(new, limits::STREAMS, |number| {
        let client = session.connection.client();
        client.stream_create(number, flags, priority)
    })?;
    Ok(())
}

pub(crate) fn cuStreamDestroy_v2(stream: CUstream) -> Done {
    let session = in_context()?;
    session.contexts.streams.remove(stream)?;
    session
        .connection
        .client()
        .stream_destroy(stream.addr() as u64)
}

pub(crate) fn cuStreamSynchronize(of: CUstream) -> Done {
    let session = in_context()?;
    let number = stream(session, of)?;
    session.connection.client().stream_synchronize(number)
}

pub(crate) fn cuStreamQuery(of: CUstream) -> Done {
    let session = in_context()?;
    let number = stream(session, of)?;
    ready(session.connection.client().stream_query(number)?)
}

pub(crate) fn cuStreamWaitEvent(of: CUstream, event: CUevent, flags: c_uint) -> Done {
    let session = in_context()?;
    if flags > 1 {
        return Err(INVALID);
    }
    let number = stream(session, of)?;
    let event = session.contexts.events.number(event)?;
    session.connection.client().stream_wait(number, event)
}

/// What a stream is; the default ones are the current context's.
fn about(of: CUstream) -> Result<Stream, CUresult> {
    let session = in_context()?;
    match of.addr() {
        0..=2 => Ok(Stream {
            context: current().addr(),
            flags: 0,
            priority: 0,
        }),
        _ => session.contexts.streams.get(of),
    }
}

pub(crate) fn cuStreamGetFlags(of: CUstream, flags: &mut c_uint) -> Done {
    *flags = about(of)?.flags;
    Ok(())
}

pub(crate) fn cuStreamGetPriority(of: CUstream, priority: &mut c_int) -> Done {
    *priority = about(of)?.priority;
    Ok(())
}

pub(crate) fn cuStreamGetCtx(of: CUstream, context: &mut CUcontext) -> Done {
    *context = ptr::without_provenance_mut(about(of)?.context);
    Ok(())
}

/// An event's flag: it does not tell the time.
const UNTIMED: c_uint = 2;

pub(crate) fn cuEventCreate(event: &mut CUevent, flags: c_uint) -> Done {
    // Waits that sleep, no time, and, only without it, for other processes.
    const INTERPROCESS: c_uint = 4;
    let session = in_context()?;
    if flags > 7 || flags & (INTERPROCESS | UNTIMED) == INTERPROCESS {
        return Err(INVALID);
    }
    if flags & INTERPROCESS != 0 {
        return Err(crate::unsupported("an event for other processes"));
    }
    let new = Event {
        context: current().addr(),
        flags,
    };
    let events = &session.contexts.events;
    *event = events.create(new, limits::EVENTS, |number| {
        session.connection.client().event_create(number, flags)
    })?;
    Ok(())
}

pub(crate) fn cuEventDestroy_v2(event: CUevent) -> Done {
    let session = in_context()?;
    session.contexts.events.remove(event)?;
    session
        .connection
        .client()
        .event_destroy(event.addr() as u64)
}

pub(crate) fn cuEventRecord(event: CUevent, of: CUstream) -> Done {
    let session = in_context()?;
    let event = session.contexts.events.number(event)?;
    let number = stream(session, of)?;
    session.connection.client().event_record(event, number)
}

pub(crate) fn cuEventRecordWithFlags(event: CUevent, of: CUstream, flags: c_uint) -> Done {
    // The one flag is for graphs that are captured.
    match flags {
        0 => cuEventRecord(event, of),
        1 => Err(crate::unsupported("cuEventRecordWithFlags in a graph")),
        _ => Err(INVALID),
    }
}

pub(crate) fn cuEventQuery(event: CUevent) -> Done {
    let session = in_context()?;
    let number = session.contexts.events.number(event)?;
    ready(session.connection.client().event_query(number)?)
}

pub(crate) fn cuEventSynchronize(event: CUevent) -> Done {
    let session = in_context()?;
    let number = session.contexts.events.number(event)?;
    session.connection.client().event_synchronize(number)
}

pub(crate) fn cuEventElapsedTime(milliseconds: &mut f32, start: CUevent, end: CUevent) -> Done {
    let session = in_context()?;
    for event in [start, end] {
        if session.contexts.events.get(event)?.flags & UNTIMED != 0 {
            return Err(NO_HANDLE);
        }
    }
    let (start, end) = (start.addr() as u64, end.addr() as u64);
    let nanoseconds = session.connection.client().event_elapsed(start, end)?;
    *milliseconds = (nanoseconds as f64 / 1e6) as f32;
    Ok(())
}

pub(crate) fn cuEventElapsedTime_v2(milliseconds: &mut f32, start: CUevent, end: CUevent) -> Done {
    cuEventElapsedTime(milliseconds, start, end)
}
