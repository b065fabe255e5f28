//! Memory pools, and what is allocated from them: at once, as the worker does
//! commands in their order.

use vgpu_cuda_wire::{
    CUdevice, CUdeviceptr, CUmemPool_attribute, CUmemPoolProps, CUmemoryPool, CUresult, CUstream,
};

use super::current::{in_context, stream};
use super::devices::on;
use super::memory::{allocate, cuMemFree_v2};
use crate::Done;
use crate::lock::lock;
use crate::pointers::Untyped;
use crate::session::session;

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
    // CU_MEM_ALLOCATION_TYPE_PINNED, CU_MEM_LOCATION_TYPE_DEVICE.
    const PINNED: u32 = 1;
    const DEVICE: u32 = 1;
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
    *pointer = allocate(session, size, pool)?;
    Ok(())
}

pub(crate) fn cuMemAllocAsync(pointer: &mut CUdeviceptr, size: usize, of: CUstream) -> Done {
    let session = in_context()?;
    cuMemAllocFromPoolAsync(pointer, size, session.pools.current(), of)
}

pub(crate) fn cuMemFreeAsync(pointer: CUdeviceptr, of: CUstream) -> Done {
    stream(in_context()?, of)?;
    match pointer {
        0 => Err(INVALID),
        _ => cuMemFree_v2(pointer),
    }
}
