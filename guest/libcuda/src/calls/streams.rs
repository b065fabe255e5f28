//! Streams: handles are minted here, and nobody waits for that.

use std::ffi::{c_int, c_uint};
use std::ptr;

use vgpu_cuda_wire::{
    CUcontext, CUdevice, CUevent, CUgreenCtx, CUresult, CUstream, CUstreamAttrID,
    CUstreamAttrValue, limits,
};

use super::current::{in_context, run, stream};
use crate::Done;
use crate::contexts::{Stream, current};
use crate::work::Work;

const INVALID: CUresult = CUresult::CUDA_ERROR_INVALID_VALUE;

/// What a query gives.
pub(super) fn ready(done: u64) -> Done {
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
        let client = session.worker.connection.client();
        client.stream_create(number, flags, priority)
    })?;
    Ok(())
}

pub(crate) fn cuStreamDestroy_v2(stream: CUstream) -> Done {
    let session = in_context()?;
    session.contexts.streams.remove(stream)?;
    session.contexts.forget_attributes(stream);
    session.captures.forget_stream(stream);
    session
        .worker
        .connection
        .client()
        .stream_destroy(stream.addr() as u64)
}

#[inline(always)]
pub(crate) fn cuStreamSynchronize(of: CUstream) -> Done {
    let session = in_context()?;
    let number = stream(session, of)?;
    session.captures.refuse(of)?;
    session
        .worker
        .connection
        .client()
        .stream_synchronize(number)
}

pub(crate) fn cuStreamQuery(of: CUstream) -> Done {
    let session = in_context()?;
    let number = stream(session, of)?;
    session.captures.refuse(of)?;
    session.captures.refuse_unsafe()?;
    ready(session.worker.connection.client().stream_query(number)?)
}

/// In a stream that captures, an event that was recorded there is an edge of the graph; a flag says
/// that it is one from outside, and so a node.
pub(crate) fn cuStreamWaitEvent(of: CUstream, event: CUevent, flags: c_uint) -> Done {
    const OUTSIDE: c_uint = 1;
    let session = in_context()?;
    if flags > OUTSIDE {
        return Err(INVALID);
    }
    let stream = stream(session, of)?;
    let number = session.contexts.events.number(event)?;
    if flags == OUTSIDE {
        return run(session, of, || Ok(Work::Wait(event.addr())));
    }
    if session.captures.any_event()
        && session
            .captures
            .wait(&session.contexts.streams, of, event)?
    {
        return Ok(());
    }
    session
        .worker
        .connection
        .client()
        .stream_wait(stream, number)
}

pub(crate) fn cuStreamGetDevice(of: CUstream, device: &mut CUdevice) -> Done {
    about(of)?;
    *device = 0;
    Ok(())
}

/// A stream of no green context.
pub(crate) fn cuStreamGetCtx_v2(
    of: CUstream,
    context: &mut CUcontext,
    green: &mut CUgreenCtx,
) -> Done {
    *green = ptr::null_mut();
    cuStreamGetCtx(of, context)
}

/// Its handle, but for the legacy stream's, which has two.
pub(crate) fn cuStreamGetId(of: CUstream, id: &mut u64) -> Done {
    about(of)?;
    *id = of.addr().max(1) as u64;
    Ok(())
}

/// Checks that a stream has an attribute: a window of the cache, how to wait, priority, domains of
/// memory and their synchronisation. All but the priority are advice.
fn check_attribute(attribute: CUstreamAttrID) -> Done {
    match attribute {
        1 | 3 | PRIORITY | 9 | 10 => Ok(()),
        _ => Err(INVALID),
    }
}

/// A stream's attribute that is no advice.
const PRIORITY: CUstreamAttrID = 8;

pub(crate) fn cuStreamGetAttribute(
    of: CUstream,
    attribute: CUstreamAttrID,
    value: &mut CUstreamAttrValue,
) -> Done {
    let session = in_context()?;
    stream(session, of)?;
    check_attribute(attribute)?;
    let words = session.contexts.attribute(of, attribute);
    *value = CUstreamAttrValue { words };
    Ok(())
}

pub(crate) fn cuStreamSetAttribute(
    of: CUstream,
    attribute: CUstreamAttrID,
    value: &CUstreamAttrValue,
) -> Done {
    let session = in_context()?;
    stream(session, of)?;
    check_attribute(attribute)?;
    // There is one priority.
    if attribute != PRIORITY {
        session.contexts.set_attribute(of, attribute, value.words);
    }
    Ok(())
}

pub(crate) fn cuStreamCopyAttributes(to: CUstream, from: CUstream) -> Done {
    let session = in_context()?;
    for of in [to, from] {
        stream(session, of)?;
    }
    session.contexts.copy_attributes(to, from);
    Ok(())
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
