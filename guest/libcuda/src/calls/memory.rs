//! Device memory, and pinned memory of the host.

use std::ffi::{c_uint, c_void};
use std::ptr;

use vgpu_cuda_wire::{CUdeviceptr, CUmemoryPool, CUresult};
use vgpu_ring::Memory;
use vgpu_transport::Transport;

use super::current::in_context;
use crate::Done;
use crate::allocations::{Backing, Device, Kind};
use crate::contexts::current;
use crate::session::Session;

const INVALID: CUresult = CUresult::CUDA_ERROR_INVALID_VALUE;

/// Device memory for the current context, from a pool or none.
pub(super) fn allocate(
    session: &'static Session,
    size: usize,
    pool: CUmemoryPool,
) -> Result<u64, CUresult> {
    let allocation = Device {
        size: size as u64,
        context: current().addr(),
        pool: pool.addr(),
        kind: Kind::Allocation,
    };
    if !pool.is_null() {
        session.pools.take(pool, allocation.size)?;
    }
    let allocated = session
        .worker
        .connection
        .client()
        .memory_allocate(allocation.size);
    match allocated {
        Ok(address) => session.worker.allocations.add(address, allocation),
        Err(_) => session.pools.give(&allocation),
    }
    allocated
}

pub(crate) fn cuMemAlloc_v2(pointer: &mut CUdeviceptr, size: usize) -> Done {
    let session = in_context()?;
    session.captures.refuse_unsafe()?;
    *pointer = allocate(session, size, ptr::null_mut())?;
    Ok(())
}

/// Rows begin at multiples of what kernels load at a time, whatever an element's size.
pub(crate) fn cuMemAllocPitch_v2(
    pointer: &mut CUdeviceptr,
    pitch: &mut usize,
    width: usize,
    height: usize,
    element: c_uint,
) -> Done {
    const PITCH: usize = 512;
    in_context()?;
    if width == 0 || height == 0 || ![4, 8, 16].contains(&element) {
        return Err(INVALID);
    }
    let row = width.checked_next_multiple_of(PITCH).ok_or(INVALID)?;
    let size = row.checked_mul(height).ok_or(INVALID)?;
    cuMemAlloc_v2(pointer, size)?;
    *pitch = row;
    Ok(())
}

pub(crate) fn cuMemFree_v2(pointer: CUdeviceptr) -> Done {
    let session = in_context()?;
    session.captures.refuse_unsafe()?;
    if pointer == 0 {
        return Ok(());
    }
    session
        .pools
        .give(&session.worker.allocations.remove(pointer)?);
    session.worker.connection.client().memory_free(pointer)
}

pub(crate) fn cuMemGetInfo_v2(free: Option<&mut usize>, total: Option<&mut usize>) -> Done {
    let (now, all) = in_context()?.worker.connection.client().memory_info()?;
    for (place, value) in [(free, now), (total, all)] {
        if let Some(place) = place {
            *place = usize::try_from(value).unwrap_or(usize::MAX);
        }
    }
    Ok(())
}

pub(crate) fn cuMemHostAlloc(pointer: &mut *mut c_void, size: usize, flags: c_uint) -> Done {
    // Portable, mapped, write-combined: all memory here is the first, and none
    // is the second, which an attribute of the device says.
    const ALL: c_uint = 7;
    let session = in_context()?;
    session.worker.connection.fault()?;
    session.captures.refuse_unsafe()?;
    if flags & !ALL != 0 {
        return Err(INVALID);
    }
    let whole = size
        .checked_next_multiple_of(4096)
        .filter(|&whole| whole > 0);
    let added = session
        .worker
        .connection
        .transport()
        .add_region(whole.ok_or(INVALID)?);
    let region = added.map_err(|error| match error {
        vgpu_transport::Error::Lost(_) => CUresult::CUDA_ERROR_DEVICE_UNAVAILABLE,
        _ => CUresult::CUDA_ERROR_OUT_OF_MEMORY,
    })?;
    let start = region.memory.words().as_ptr();
    *pointer = start.cast_mut().cast();
    let (start, context) = (start.expose_provenance(), current().addr());
    let allocations = &session.worker.allocations;
    allocations.pin(start, size, context, flags, Backing::Region(region))
}

pub(crate) fn cuMemAllocHost_v2(pointer: &mut *mut c_void, size: usize) -> Done {
    cuMemHostAlloc(pointer, size, 0)
}

pub(crate) fn cuMemFreeHost(pointer: *mut c_void) -> Done {
    let session = in_context()?;
    let region = session.worker.allocations.unpin(pointer.addr())?;
    end_region(session, region.id)
}

/// Ends the sharing of a region of pinned memory.
pub(crate) fn end_region(session: &Session, region: u32) -> Done {
    // The worker has done what names the region when it answers, be it that another call's error comes with the answer.
    let done = session.worker.connection.client().synchronize();
    let removed = session.worker.connection.transport().remove_region(region);
    done.and(removed.map_err(|_| CUresult::CUDA_ERROR_DEVICE_UNAVAILABLE))
}

pub(crate) fn cuMemGetAddressRange_v2(
    base: Option<&mut CUdeviceptr>,
    size: Option<&mut usize>,
    pointer: CUdeviceptr,
) -> Done {
    let found = in_context()?.worker.allocations.find(pointer);
    let (start, allocation) = found.map_err(|_| CUresult::CUDA_ERROR_NOT_FOUND)?;
    if let Some(base) = base {
        *base = start;
    }
    if let Some(size) = size {
        *size = usize::try_from(allocation.size).unwrap_or(usize::MAX);
    }
    Ok(())
}
