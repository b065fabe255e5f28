//! Device memory, pinned memory of the host, and what a pointer is.

use std::ffi::{c_uint, c_void};
use std::ptr;

use vgpu_cuda_wire::{CUdeviceptr, CUmemoryPool, CUpointer_attribute, CUresult};
use vgpu_ring::Memory;
use vgpu_transport::Transport;

use super::current::in_context;
use crate::Done;
use crate::allocations::Device;
use crate::contexts::current;
use crate::pointers::Untyped;
use crate::session::Session;

const INVALID: CUresult = CUresult::CUDA_ERROR_INVALID_VALUE;

/// Device memory for the current context, from a pool or none.
pub(super) fn allocate(
    session: &Session,
    size: usize,
    pool: CUmemoryPool,
) -> Result<u64, CUresult> {
    let allocation = Device {
        size: size as u64,
        context: current().addr(),
        pool: pool.addr(),
        variable: false,
    };
    if !pool.is_null() {
        session.pools.take(pool, allocation.size)?;
    }
    let allocated = session.connection.client().memory_allocate(allocation.size);
    match allocated {
        Ok(address) => session.allocations.add(address, allocation),
        Err(_) => session.pools.give(&allocation),
    }
    allocated
}

pub(crate) fn cuMemAlloc_v2(pointer: &mut CUdeviceptr, size: usize) -> Done {
    *pointer = allocate(in_context()?, size, ptr::null_mut())?;
    Ok(())
}

pub(crate) fn cuMemFree_v2(pointer: CUdeviceptr) -> Done {
    let session = in_context()?;
    if pointer == 0 {
        return Ok(());
    }
    session.pools.give(&session.allocations.remove(pointer)?);
    session.connection.client().memory_free(pointer)
}

pub(crate) fn cuMemGetInfo_v2(free: Option<&mut usize>, total: Option<&mut usize>) -> Done {
    let (now, all) = in_context()?.connection.client().memory_info()?;
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
    session.connection.fault()?;
    if flags & !ALL != 0 {
        return Err(INVALID);
    }
    let whole = size
        .checked_next_multiple_of(4096)
        .filter(|&whole| whole > 0);
    let added = session
        .connection
        .transport()
        .add_region(whole.ok_or(INVALID)?);
    let region = added.map_err(|error| match error {
        vgpu_transport::Error::Lost(_) => CUresult::CUDA_ERROR_DEVICE_UNAVAILABLE,
        _ => CUresult::CUDA_ERROR_OUT_OF_MEMORY,
    })?;
    let start = region.memory.words().as_ptr();
    *pointer = start.cast_mut().cast();
    session
        .allocations
        .pin(start.expose_provenance(), size, current().addr(), region);
    Ok(())
}

pub(crate) fn cuMemAllocHost_v2(pointer: &mut *mut c_void, size: usize) -> Done {
    cuMemHostAlloc(pointer, size, 0)
}

pub(crate) fn cuMemFreeHost(pointer: *mut c_void) -> Done {
    let session = in_context()?;
    let region = session.allocations.unpin(pointer.addr())?;
    // The worker has done what names the region when it answers, be it that another call's error comes with the answer.
    let done = session.connection.client().synchronize();
    let removed = session.connection.transport().remove_region(region.id);
    done.and(removed.map_err(|_| CUresult::CUDA_ERROR_DEVICE_UNAVAILABLE))
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
    const RANGE_START: u32 = 11;
    const RANGE_SIZE: u32 = 12;
    const MAPPED: u32 = 13;
    const POOL: u32 = 17;
    let session = in_context()?;
    let host = usize::try_from(pointer).map_err(|_| INVALID)?;
    let device = session.allocations.find(pointer).ok();
    let pinned = session.allocations.pinned(host, 0).is_some();
    if device.is_none() && !pinned {
        return Err(INVALID);
    }
    match (attribute, device) {
        (CONTEXT, Some((_, device))) => data.put(device.context),
        (CONTEXT, None) => data.put(current()),
        (MEMORY_TYPE, _) => data.put::<c_uint>(if device.is_some() { 2 } else { 1 }),
        (DEVICE_POINTER, Some(_)) => data.put(pointer),
        (HOST_POINTER, None) => data.put(pointer),
        (IS_MANAGED, _) => data.put(0_u8),
        (DEVICE_ORDINAL, _) => data.put(0_i32),
        (RANGE_START, Some((start, _))) => data.put(start),
        (RANGE_SIZE, Some((_, device))) => data.put(device.size),
        (MAPPED, _) => data.put(u8::from(device.is_some())),
        (POOL, Some((_, device))) => data.put(device.pool),
        _ => return Err(INVALID),
    }
    Ok(())
}

pub(crate) fn cuMemGetAddressRange_v2(
    base: Option<&mut CUdeviceptr>,
    size: Option<&mut usize>,
    pointer: CUdeviceptr,
) -> Done {
    let found = in_context()?.allocations.find(pointer);
    let (start, allocation) = found.map_err(|_| CUresult::CUDA_ERROR_NOT_FOUND)?;
    if let Some(base) = base {
        *base = start;
    }
    if let Some(size) = size {
        *size = usize::try_from(allocation.size).unwrap_or(usize::MAX);
    }
    Ok(())
}
