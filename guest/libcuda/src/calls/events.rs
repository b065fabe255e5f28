//! Events: handles are minted here, and nobody waits for that.

use std::ffi::c_uint;

use vgpu_cuda_wire::{CUevent, CUresult, CUstream, limits};

use super::current::{in_context, run, stream};
use super::streams::ready;
use crate::Done;
use crate::contexts::{Event, current};
use crate::work::Work;

const INVALID: CUresult = CUresult::CUDA_ERROR_INVALID_VALUE;
const NO_HANDLE: CUresult = CUresult::CUDA_ERROR_INVALID_HANDLE;

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
        session
            .worker
            .connection
            .client()
            .event_create(number, flags)
    })?;
    Ok(())
}

pub(crate) fn cuEventDestroy_v2(event: CUevent) -> Done {
    let session = in_context()?;
    session.contexts.events.remove(event)?;
    session.captures.forget_event(event);
    session
        .worker
        .connection
        .client()
        .event_destroy(event.addr() as u64)
}

pub(crate) fn cuEventRecord(event: CUevent, of: CUstream) -> Done {
    let session = in_context()?;
    let number = session.contexts.events.number(event)?;
    let stream = stream(session, of)?;
    if session.captures.any_event()
        && session
            .captures
            .record(&session.contexts.streams, event, of)?
    {
        return Ok(());
    }
    session
        .worker
        .connection
        .client()
        .event_record(number, stream)
}

pub(crate) fn cuEventRecordWithFlags(event: CUevent, of: CUstream, flags: c_uint) -> Done {
    // The one flag: where the stream captures, the event is no edge of the graph, but a node.
    const OUTSIDE: c_uint = 1;
    match flags {
        0 => cuEventRecord(event, of),
        OUTSIDE => {
            let session = in_context()?;
            session.contexts.events.number(event)?;
            run(session, of, || Ok(Work::Record(event.addr())))
        }
        _ => Err(INVALID),
    }
}

pub(crate) fn cuEventQuery(event: CUevent) -> Done {
    let session = in_context()?;
    let number = session.contexts.events.number(event)?;
    session.captures.refuse_event(event)?;
    session.captures.refuse_unsafe()?;
    ready(session.worker.connection.client().event_query(number)?)
}

pub(crate) fn cuEventSynchronize(event: CUevent) -> Done {
    let session = in_context()?;
    let number = session.contexts.events.number(event)?;
    session.captures.refuse_event(event)?;
    session.captures.refuse_unsafe()?;
    session.worker.connection.client().event_synchronize(number)
}

pub(crate) fn cuEventElapsedTime(milliseconds: &mut f32, start: CUevent, end: CUevent) -> Done {
    let session = in_context()?;
    for event in [start, end] {
        if session.contexts.events.get(event)?.flags & UNTIMED != 0 {
            return Err(NO_HANDLE);
        }
        session.captures.refuse_event(event)?;
    }
    let (start, end) = (start.addr() as u64, end.addr() as u64);
    let nanoseconds = session
        .worker
        .connection
        .client()
        .event_elapsed(start, end)?;
    *milliseconds = (nanoseconds as f64 / 1e6) as f32;
    Ok(())
}

pub(crate) fn cuEventElapsedTime_v2(milliseconds: &mut f32, start: CUevent, end: CUevent) -> Done {
    cuEventElapsedTime(milliseconds, start, end)
}
