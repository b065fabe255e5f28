//! Copies and fills. Ranges of device memory are checked here, against what this
//! process has allocated.

use std::ffi::{c_uchar, c_uint, c_ushort};
use std::ptr;

use vgpu_cuda_wire::{CUdeviceptr, CUresult, CUstream};

use super::current::{in_context, stream};
use crate::Done;

pub(crate) fn cuMemcpyHtoD_v2(to: CUdeviceptr, from: &[u8], _size: usize) -> Done {
    let session = in_context()?;
    session.allocations.check(to, from.len())?;
    session.connection.upload(to, 0, from)
}

pub(crate) fn cuMemcpyDtoH_v2(into: &mut [u8], from: CUdeviceptr, size: usize) -> Done {
    cuMemcpyDtoHAsync_v2(into, from, size, ptr::null_mut())
}

pub(crate) fn cuMemcpyDtoD_v2(to: CUdeviceptr, from: CUdeviceptr, size: usize) -> Done {
    cuMemcpyDtoDAsync_v2(to, from, size, ptr::null_mut())
}

pub(crate) fn cuMemcpyHtoDAsync_v2(
    to: CUdeviceptr,
    from: &[u8],
    _size: usize,
    of: CUstream,
) -> Done {
    let session = in_context()?;
    session.allocations.check(to, from.len())?;
    let stream = stream(session, of)?;
    let place = from.as_ptr().addr();
    match session.allocations.pinned(place, from.len()) {
        Some((region, offset)) => {
            let client = session.connection.client();
            client.write_from(to, stream, region, offset, from.len() as u64)
        }
        None => session.connection.upload(to, stream, from),
    }
}

pub(crate) fn cuMemcpyDtoHAsync_v2(
    into: &mut [u8],
    from: CUdeviceptr,
    _size: usize,
    of: CUstream,
) -> Done {
    let session = in_context()?;
    session.allocations.check(from, into.len())?;
    let stream = stream(session, of)?;
    let place = into.as_ptr().addr();
    match session.allocations.pinned(place, into.len()) {
        Some((region, offset)) => {
            let client = session.connection.client();
            client.read_into(from, stream, region, offset, into.len() as u64)
        }
        None => session.connection.download(from, stream, into),
    }
}

pub(crate) fn cuMemcpyDtoDAsync_v2(
    to: CUdeviceptr,
    from: CUdeviceptr,
    size: usize,
    of: CUstream,
) -> Done {
    let session = in_context()?;
    session.allocations.check(to, size)?;
    session.allocations.check(from, size)?;
    let stream = stream(session, of)?;
    session
        .connection
        .client()
        .copy(to, from, size as u64, stream)
}

/// Fills with units of a width in bytes.
fn fill(to: CUdeviceptr, value: u32, width: u8, count: usize, of: CUstream) -> Done {
    let session = in_context()?;
    if !to.is_multiple_of(width.into()) {
        return Err(CUresult::CUDA_ERROR_INVALID_VALUE);
    }
    let size = count.saturating_mul(usize::from(width));
    session.allocations.check(to, size)?;
    let stream = stream(session, of)?;
    session
        .connection
        .client()
        .fill(to, value, width, count as u64, stream)
}

pub(crate) fn cuMemsetD8_v2(to: CUdeviceptr, value: c_uchar, count: usize) -> Done {
    fill(to, value.into(), 1, count, ptr::null_mut())
}

pub(crate) fn cuMemsetD16_v2(to: CUdeviceptr, value: c_ushort, count: usize) -> Done {
    fill(to, value.into(), 2, count, ptr::null_mut())
}

pub(crate) fn cuMemsetD32_v2(to: CUdeviceptr, value: c_uint, count: usize) -> Done {
    fill(to, value, 4, count, ptr::null_mut())
}

pub(crate) fn cuMemsetD8Async(to: CUdeviceptr, value: c_uchar, count: usize, of: CUstream) -> Done {
    fill(to, value.into(), 1, count, of)
}

pub(crate) fn cuMemsetD16Async(
    to: CUdeviceptr,
    value: c_ushort,
    count: usize,
    of: CUstream,
) -> Done {
    fill(to, value.into(), 2, count, of)
}

pub(crate) fn cuMemsetD32Async(to: CUdeviceptr, value: c_uint, count: usize, of: CUstream) -> Done {
    fill(to, value, 4, count, of)
}
