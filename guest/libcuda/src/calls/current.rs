//! What most calls ask for first.

use vgpu_cuda_wire::{CUresult, CUstream};

use crate::Done;
use crate::session::{Session, session};
use crate::work::Work;

/// The session, for what needs a current context.
#[inline]
pub(super) fn in_context() -> Result<&'static Session, CUresult> {
    let session = session()?;
    match session.contexts.check_current() {
        Ok(()) => Ok(session),
        Err(error) => Err(without_context(session, error)),
    }
}

/// Why a call is refused: a callback may make none, and has no context.
#[cold]
fn without_context(session: &'static Session, error: CUresult) -> CUresult {
    match session.worker.callbacks.is_own_thread() {
        true => CUresult::CUDA_ERROR_NOT_PERMITTED,
        false => error,
    }
}

/// Refuses a callback that would make a context its own.
pub(super) fn not_in_callback() -> Done {
    match session()?.worker.callbacks.is_own_thread() {
        true => Err(CUresult::CUDA_ERROR_NOT_PERMITTED),
        false => Ok(()),
    }
}

/// The number of a stream: 0 to 2 are default streams.
#[inline]
pub(super) fn stream(session: &'static Session, stream: CUstream) -> Result<u64, CUresult> {
    match stream.addr() {
        default @ 0..=2 => Ok(default as u64),
        _ => session.contexts.stream(stream),
    }
}

/// Does a stream's work, or adds it to the graph that the stream captures.
pub(super) fn run(
    session: &'static Session,
    of: CUstream,
    work: impl FnOnce() -> Result<Work, CUresult>,
) -> Done {
    let number = stream(session, of)?;
    let mut work = Some(work);
    let mut make = || {
        work.take()
            .map_or(Err(CUresult::CUDA_ERROR_UNKNOWN), |make| make())
    };
    if session.captures.any()
        && session
            .captures
            .take(&session.graphs, &session.contexts.streams, of, &mut make)?
            .is_some()
    {
        return Ok(());
    }
    make()?.send(&session.worker, number)
}
