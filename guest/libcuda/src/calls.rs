//! The driver API's functions, by their names. Exported symbols have checked
//! pointers for null; what a function's class is, the description says.
#![forbid(unsafe_code)]
#![allow(non_snake_case, clippy::similar_names, clippy::too_many_arguments)]

mod capture;
mod contexts;
mod copies;
mod devices;
mod graphs;
mod launches;
mod links;
mod memory;
mod modules;
mod pools;
mod start;
mod streams;

pub(crate) use capture::*;
pub(crate) use contexts::*;
pub(crate) use copies::*;
pub(crate) use devices::*;
pub(crate) use graphs::*;
pub(crate) use launches::*;
pub(crate) use links::*;
pub(crate) use memory::*;
pub(crate) use modules::*;
pub(crate) use pools::*;
pub(crate) use start::*;
pub(crate) use streams::*;

use vgpu_cuda_wire::{CUresult, CUstream};

use crate::session::{Session, session};

/// The session, for what needs a current context.
fn in_context() -> Result<&'static Session, CUresult> {
    let session = session()?;
    session.contexts.check_current()?;
    Ok(session)
}

/// The number of a stream: 0 to 2 are default streams.
fn stream(session: &Session, stream: CUstream) -> Result<u64, CUresult> {
    match stream.addr() {
        default @ 0..=2 => Ok(default as u64),
        _ => session.contexts.streams.number(stream),
    }
}
