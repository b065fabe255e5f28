//! Device memory, pinned memory of the host, and what a pointer is.

use std::ffi::{c_uint, c_void};

use vgpu_cuda_wire::{CUdeviceptr, CUpointer_attribute, CUresult, CUstream};
use vgpu_ring::Memory;
use vgpu_transport::Transport;

use super::{in_context, stream};
use crate::Done;
use crate::contexts::current;
use crate::pointers::Untyped;

const INVALID: CUresult = CUresult::CUDA_ERROR_INVALID_VALUE;

pub(crate) fn cuMemAlloc_v2(pointer: &mut CUdeviceptr, size: usize) -> Done {
    let session = in_context()?;
    *pointer = session.client().memory_allocate(size as u64)?;
    session.allocations.add(*pointer, size as u64);
    Ok(())
}

pub(crate) fn cuMemFree_v2(pointer: CUdeviceptr) -> Done {
    let session = in_context()?;
    if pointer == 0 {
        return Ok(());
    }
    session.allocations.remove(pointer)?;
    session.client().memory_free(pointer)
}

pub(crate) fn cuMemGetInfo_v2(free: Option<&mut usize>, total: Option<&mut usize>) -> Done {
    let (now, all) = in_context()?.client().memory_info()?;
    for (place, value) in [(free, now), (total, all)] {
        if let Some(place) = place {
            *place = usize::try_from(value).unwrap_or(usize::MAX);
        }
    }
    Ok(())
}

pub(crate) fn cuMemAllocAsync(pointer: &mut CUdeviceptr, size: usize, of: CUstream) -> Done {
    stream(in_context()?, of)?;
    cuMemAlloc_v2(pointer, size)
}

pub(crate) fn cuMemFreeAsync(pointer: CUdeviceptr, of: CUstream) -> Done {
    stream(in_context()?, of)?;
    cuMemFree_v2(pointer)
}

pub(crate) fn cuMemHostAlloc(pointer: &mut *mut c_void, size: usize, _flags: c_uint) -> Done {
    let session = in_context()?;
    let whole = size
        .checked_next_multiple_of(4096)
        .filter(|&whole| whole > 0);
    let added = session.transport().add_region(whole.ok_or(INVALID)?);
    let region = added.map_err(|error| match error {
        vgpu_transport::Error::Lost(_) => CUresult::CUDA_ERROR_DEVICE_UNAVAILABLE,
        _ => CUresult::CUDA_ERROR_OUT_OF_MEMORY,
    })?;
    let start = region.memory.words().as_ptr();
    *pointer = start.cast_mut().cast();
    session
        .allocations
        .pin(start.expose_provenance(), size, region);
    Ok(())
}

pub(crate) fn cuMemAllocHost_v2(pointer: &mut *mut c_void, size: usize) -> Done {
    cuMemHostAlloc(pointer, size, 0)
}

pub(crate) fn cuMemFreeHost(pointer: *mut c_void) -> Done {
    let session = in_context()?;
    let region = session.allocations.unpin(pointer.addr())?;
    // The worker has done what names the region when it answers.
    session.client().synchronize()?;
    let removed = session.transport().remove_region(region.id);
    removed.map_err(|_| CUresult::CUDA_ERROR_DEVICE_UNAVAILABLE)
}

pub(crate) fn cuPointerGetAttribute(
    data: Untyped,
    attribute: CUpointer_attribute,
    pointer: CUdeviceptr,
) -> Done {
    const CONTEXT: u32 = 1;
    const MEMORY_TYPE: u32 = 2;
    const DEVICE_POINTER: u32 = 3;
    const HOST_POINTER: u32 = 4;
    const IS_MANAGED: u32 = 8;
    const DEVICE_ORDINAL: u32 = 9;
    let session = in_context()?;
    let host = usize::try_from(pointer).map_err(|_| INVALID)?;
    let device = session.allocations.check(pointer, 0).is_ok();
    let pinned = session.allocations.pinned(host, 0).is_some();
    if !device && !pinned {
        return Err(INVALID);
    }
    match attribute {
        CONTEXT => data.put(current()),
        MEMORY_TYPE => data.put::<c_uint>(if device { 2 } else { 1 }),
        DEVICE_POINTER if device => data.put(pointer),
        HOST_POINTER if pinned => data.put(pointer),
        IS_MANAGED => data.put(0_u8),
        DEVICE_ORDINAL => data.put(0_i32),
        _ => return Err(INVALID),
    }
    Ok(())
}
