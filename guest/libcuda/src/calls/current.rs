//! What most calls ask for first.

use vgpu_cuda_wire::{CUresult, CUstream};

use crate::session::{Session, session};

/// The session, for what needs a current context.
#[inline]
pub(super) fn in_context() -> Result<&'static Session, CUresult> {
    let session = session()?;
    session.contexts.check_current()?;
    Ok(session)
}

/// The number of a stream: 0 to 2 are default streams.
#[inline]
pub(super) fn stream(session: &Session, stream: CUstream) -> Result<u64, CUresult> {
    match stream.addr() {
        default @ 0..=2 => Ok(default as u64),
        _ => session.contexts.stream(stream),
    }
}
