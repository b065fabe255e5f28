//! Memory and addresses apart (virtual memory management).

use std::ffi::{c_ulonglong, c_void};

use vgpu_cuda_wire::{
    CUdeviceptr, CUmemAccessDesc, CUmemAllocationGranularity_flags, CUmemAllocationProp,
    CUmemGenericAllocationHandle, CUmemLocation, CUresult,
};

use super::devices::on;
use crate::Done;
use crate::mappings::{DEVICE, GRANULE, PINNED};
use crate::session::{Session, session};

const INVALID: CUresult = CUresult::CUDA_ERROR_INVALID_VALUE;

/// Checks what memory is to be: on the device, and for this process alone.
fn check(properties: &CUmemAllocationProp) -> Result<&'static Session, CUresult> {
    let session = session()?;
    if (properties.kind, properties.location.kind) != (PINNED, DEVICE) {
        return Err(INVALID);
    }
    on(properties.location.id)?;
    match properties.handles {
        0 => Ok(session),
        _ => Err(crate::unsupported("memory for other processes")),
    }
}

pub(crate) fn cuMemGetAllocationGranularity(
    granularity: &mut usize,
    properties: &CUmemAllocationProp,
    option: CUmemAllocationGranularity_flags,
) -> Done {
    // The least, and what is recommended.
    const OPTIONS: u32 = 2;
    check(properties)?;
    if option >= OPTIONS {
        return Err(INVALID);
    }
    *granularity = usize::try_from(GRANULE).unwrap_or(usize::MAX);
    Ok(())
}

pub(crate) fn cuMemAddressReserve(
    pointer: &mut CUdeviceptr,
    size: usize,
    alignment: usize,
    address: CUdeviceptr,
    flags: c_ulonglong,
) -> Done {
    let session = session()?;
    if flags != 0 {
        return Err(INVALID);
    }
    *pointer = session.mappings.reserve(size, alignment as u64, address)?;
    Ok(())
}

pub(crate) fn cuMemAddressFree(pointer: CUdeviceptr, size: usize) -> Done {
    session()?.mappings.free(pointer, size)
}

pub(crate) fn cuMemCreate(
    handle: &mut CUmemGenericAllocationHandle,
    size: usize,
    properties: &CUmemAllocationProp,
    flags: c_ulonglong,
) -> Done {
    let session = check(properties)?;
    session.captures.refuse_unsafe()?;
    if flags != 0 {
        return Err(INVALID);
    }
    *handle = session
        .mappings
        .create(&session.worker, size, properties.flags)?;
    Ok(())
}

pub(crate) fn cuMemRelease(handle: CUmemGenericAllocationHandle) -> Done {
    let session = session()?;
    session.mappings.release(&session.worker, handle)
}

pub(crate) fn cuMemMap(
    pointer: CUdeviceptr,
    size: usize,
    offset: usize,
    handle: CUmemGenericAllocationHandle,
    flags: c_ulonglong,
) -> Done {
    let session = session()?;
    // By the driver API both are 0.
    if offset != 0 || flags != 0 {
        return Err(INVALID);
    }
    session.mappings.map(pointer, size, handle)
}

pub(crate) fn cuMemUnmap(pointer: CUdeviceptr, size: usize) -> Done {
    let session = session()?;
    session.mappings.unmap(&session.worker, pointer, size)
}

/// Whether memory may be read and written, or not: there is no memory that is only read.
pub(super) fn access(description: &CUmemAccessDesc) -> Result<bool, CUresult> {
    const NONE: u32 = 0;
    const READ: u32 = 1;
    const READ_WRITE: u32 = 3;
    if description.location.kind != DEVICE {
        return Err(INVALID);
    }
    on(description.location.id)?;
    match description.flags {
        NONE => Ok(false),
        READ => Err(crate::unsupported("memory that is only read")),
        READ_WRITE => Ok(true),
        _ => Err(INVALID),
    }
}

pub(crate) fn cuMemSetAccess(
    pointer: CUdeviceptr,
    size: usize,
    descriptions: &[CUmemAccessDesc],
    _count: usize,
) -> Done {
    let session = session()?;
    if descriptions.is_empty() {
        return Err(INVALID);
    }
    for description in descriptions {
        let access = access(description)?;
        session
            .mappings
            .allow(&session.worker, pointer, size, access)?;
    }
    Ok(())
}

pub(crate) fn cuMemGetAccess(
    flags: &mut c_ulonglong,
    location: &CUmemLocation,
    pointer: CUdeviceptr,
) -> Done {
    let session = session()?;
    if location.kind != DEVICE {
        return Err(INVALID);
    }
    on(location.id)?;
    *flags = if session.mappings.allowed(pointer)? {
        3
    } else {
        0
    };
    Ok(())
}

pub(crate) fn cuMemRetainAllocationHandle(
    handle: &mut CUmemGenericAllocationHandle,
    address: *mut c_void,
) -> Done {
    *handle = session()?.mappings.retain(address.addr() as u64)?;
    Ok(())
}

pub(crate) fn cuMemGetAllocationPropertiesFromHandle(
    properties: &mut CUmemAllocationProp,
    handle: CUmemGenericAllocationHandle,
) -> Done {
    *properties = session()?.mappings.properties(handle)?;
    Ok(())
}
