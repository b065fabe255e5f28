//! Linking: images are added to a link, and become one.

use std::ffi::{CStr, c_uint, c_void};
use std::sync::{Arc, OnceLock};

use vgpu_cuda_wire::{CUjit_option, CUjitInputType, CUlinkState, CUresult, limits};

use super::current::in_context;
use super::modules::file;
use crate::Done;
use crate::modules::Link;
use crate::pointers::Logs;

const INVALID: CUresult = CUresult::CUDA_ERROR_INVALID_VALUE;

pub(crate) fn cuLinkCreate_v2(
    _count: c_uint,
    options: &[CUjit_option],
    values: &mut [*mut c_void],
    link: &mut CUlinkState,
) -> Done {
    let session = in_context()?;
    let state = Link {
        logs: Logs::new(options, values),
        image: OnceLock::new(),
    };
    let links = &session.modules.links;
    *link = links.create(Arc::new(state), limits::LINKS, |number| {
        session.worker.connection.client().link_create(number)
    })?;
    Ok(())
}

/// Adds an image. Options of one input are advice for a compiler that is not here.
fn add(link: CUlinkState, kind: CUjitInputType, image: &[u8], name: &CStr) -> Done {
    // CU_JIT_NUM_INPUT_TYPES.
    const KINDS: u32 = 6;
    let session = in_context()?;
    let state = session.modules.links.get(link)?;
    if kind >= KINDS || image.is_empty() || state.image.get().is_some() {
        return Err(INVALID);
    }
    let added =
        session
            .worker
            .connection
            .link_add(link.addr() as u64, kind, image, name.to_bytes());
    session.worker.connection.tell(&state.logs, added)
}

pub(crate) fn cuLinkAddData_v2(
    link: CUlinkState,
    kind: CUjitInputType,
    data: &[u8],
    _size: usize,
    name: Option<&CStr>,
    _count: c_uint,
    _options: &[CUjit_option],
    _values: &mut [*mut c_void],
) -> Done {
    add(link, kind, data, name.unwrap_or(c"unnamed"))
}

pub(crate) fn cuLinkAddFile_v2(
    link: CUlinkState,
    kind: CUjitInputType,
    path: &CStr,
    _count: c_uint,
    _options: &[CUjit_option],
    _values: &mut [*mut c_void],
) -> Done {
    in_context()?.modules.links.get(link)?;
    add(link, kind, &file(path)?, path)
}

/// The image is the program's to read until the link's end.
pub(crate) fn cuLinkComplete(
    link: CUlinkState,
    image: &mut *mut c_void,
    size: Option<&mut usize>,
) -> Done {
    let session = in_context()?;
    let state = session.modules.links.get(link)?;
    if state.image.get().is_none() {
        let linked = session.worker.connection.link_complete(link.addr() as u64);
        let mut linked = session.worker.connection.tell(&state.logs, linked)?;
        // Text for `cuModuleLoadData` ends so.
        linked.push(0);
        let _ = state.image.set(linked);
    }
    let linked = state.image.get().map_or(&[][..], Vec::as_slice);
    *image = linked.as_ptr().cast_mut().cast();
    if let Some(size) = size {
        *size = linked.len();
    }
    Ok(())
}

pub(crate) fn cuLinkDestroy(link: CUlinkState) -> Done {
    let session = in_context()?;
    session.modules.links.remove(link)?;
    session
        .worker
        .connection
        .client()
        .link_destroy(link.addr() as u64)
}
