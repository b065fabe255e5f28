//! Memory pools, and what is allocated from them: at once, as the worker does
//! commands in their order.

use vgpu_cuda_wire::{
    CUdevice, CUdeviceptr, CUmemAccess_flags, CUmemAccessDesc, CUmemAllocationType, CUmemLocation,
    CUmemPool_attribute, CUmemPoolProps, CUmemoryPool, CUresult, CUstream,
};

use super::current::{in_context, stream};
use super::devices::on;
use super::mappings::access;
use super::memory::{allocate, cuMemFree_v2};
use crate::Done;
use crate::lock::lock;
use crate::mappings::{DEVICE, PINNED};
use crate::pointers::Untyped;
use crate::session::{Session, session};

const INVALID: CUresult = CUresult::CUDA_ERROR_INVALID_VALUE;

pub(crate) fn cuDeviceGetDefaultMemPool(pool: &mut CUmemoryPool, device: CUdevice) -> Done {
    *pool = on(device)?.pools.first();
    Ok(())
}

pub(crate) fn cuDeviceGetMemPool(pool: &mut CUmemoryPool, device: CUdevice) -> Done {
    *pool = on(device)?.pools.current();
    Ok(())
}

pub(crate) fn cuDeviceSetMemPool(device: CUdevice, pool: CUmemoryPool) -> Done {
    on(device)?.pools.set_current(pool)
}

pub(crate) fn cuMemPoolCreate(pool: &mut CUmemoryPool, properties: &CUmemPoolProps) -> Done {
    let session = session()?;
    if (properties.kind, properties.location) != (PINNED, DEVICE) {
        return Err(INVALID);
    }
    on(properties.device)?;
    if properties.handles != 0 {
        return Err(crate::unsupported("a memory pool for other processes"));
    }
    *pool = session.pools.create(properties.most as u64);
    Ok(())
}

pub(crate) fn cuMemPoolDestroy(pool: CUmemoryPool) -> Done {
    session()?.pools.destroy(pool)
}

/// A pool keeps nothing that is free.
pub(crate) fn cuMemPoolTrimTo(pool: CUmemoryPool, _least: usize) -> Done {
    session()?.pools.get(pool).map(|_| ())
}

// The values of CUmemPool_attribute: three permissions, and five sizes.
const REUSE_FIRST: u32 = 1;
const REUSE_LAST: u32 = 3;
const THRESHOLD: u32 = 4;
const RESERVED: u32 = 5;
const RESERVED_HIGH: u32 = 6;
const USED: u32 = 7;
const USED_HIGH: u32 = 8;

pub(crate) fn cuMemPoolGetAttribute(
    pool: CUmemoryPool,
    attribute: CUmemPool_attribute,
    value: Untyped,
) -> Done {
    let pool = session()?.pools.get(pool)?;
    let pool = lock(&pool);
    match attribute {
        REUSE_FIRST..=REUSE_LAST => value.put(pool.reuse[(attribute - REUSE_FIRST) as usize]),
        THRESHOLD => value.put(pool.threshold),
        RESERVED | USED => value.put(pool.used),
        RESERVED_HIGH => value.put(pool.high[0]),
        USED_HIGH => value.put(pool.high[1]),
        _ => return Err(INVALID),
    }
    Ok(())
}

pub(crate) fn cuMemPoolSetAttribute(
    pool: CUmemoryPool,
    attribute: CUmemPool_attribute,
    value: Untyped,
) -> Done {
    let pool = session()?.pools.get(pool)?;
    let mut pool = lock(&pool);
    match attribute {
        REUSE_FIRST..=REUSE_LAST => {
            pool.reuse[(attribute - REUSE_FIRST) as usize] = i32::from(value.take::<i32>() != 0);
        }
        THRESHOLD => pool.threshold = value.take(),
        // The highest sizes can be set to 0 alone: they begin anew.
        RESERVED_HIGH if value.take::<u64>() == 0 => pool.high[0] = pool.used,
        USED_HIGH if value.take::<u64>() == 0 => pool.high[1] = pool.used,
        _ => return Err(INVALID),
    }
    Ok(())
}

pub(crate) fn cuMemAllocFromPoolAsync(
    pointer: &mut CUdeviceptr,
    size: usize,
    pool: CUmemoryPool,
    of: CUstream,
) -> Done {
    let session = in_context()?;
    stream(session, of)?;
    session.pools.get(pool)?;
    not_captured(session, of)?;
    *pointer = allocate(session, size, pool)?;
    Ok(())
}

pub(crate) fn cuMemAllocAsync(pointer: &mut CUdeviceptr, size: usize, of: CUstream) -> Done {
    let session = in_context()?;
    cuMemAllocFromPoolAsync(pointer, size, session.pools.current(), of)
}

pub(crate) fn cuMemFreeAsync(pointer: CUdeviceptr, of: CUstream) -> Done {
    let session = in_context()?;
    stream(session, of)?;
    not_captured(session, of)?;
    match pointer {
        0 => Err(INVALID),
        _ => cuMemFree_v2(pointer),
    }
}

fn on_device(location: &CUmemLocation) -> Result<&'static Session, CUresult> {
    match location.kind {
        DEVICE => on(location.id),
        _ => Err(INVALID),
    }
}

/// The device of a pool reaches it.
pub(crate) fn cuMemPoolGetAccess(
    flags: &mut CUmemAccess_flags,
    pool: CUmemoryPool,
    location: &CUmemLocation,
) -> Done {
    const READ_WRITE: u32 = 3;
    on_device(location)?.pools.get(pool)?;
    *flags = READ_WRITE;
    Ok(())
}

/// It cannot be taken from it.
pub(crate) fn cuMemPoolSetAccess(
    pool: CUmemoryPool,
    accesses: &[CUmemAccessDesc],
    _count: usize,
) -> Done {
    session()?.pools.get(pool)?;
    for description in accesses {
        if !access(description)? {
            return Err(INVALID);
        }
    }
    Ok(())
}

pub(crate) fn cuMemGetDefaultMemPool(
    pool: &mut CUmemoryPool,
    location: &CUmemLocation,
    kind: CUmemAllocationType,
) -> Done {
    *pool = pinned(location, kind)?.pools.first();
    Ok(())
}

pub(crate) fn cuMemGetMemPool(
    pool: &mut CUmemoryPool,
    location: &CUmemLocation,
    kind: CUmemAllocationType,
) -> Done {
    *pool = pinned(location, kind)?.pools.current();
    Ok(())
}

pub(crate) fn cuMemSetMemPool(
    location: &CUmemLocation,
    kind: CUmemAllocationType,
    pool: CUmemoryPool,
) -> Done {
    pinned(location, kind)?.pools.set_current(pool)
}

/// Pools are of pinned memory, of the device.
fn pinned(
    location: &CUmemLocation,
    kind: CUmemAllocationType,
) -> Result<&'static Session, CUresult> {
    let session = on_device(location)?;
    match kind {
        PINNED => Ok(session),
        _ => Err(INVALID),
    }
}

/// A graph that allocates is none here.
fn not_captured(session: &'static Session, of: CUstream) -> Done {
    let refused = session.captures.refuse(of);
    refused.map_err(|_| crate::unsupported("memory that a graph allocates"))
}
