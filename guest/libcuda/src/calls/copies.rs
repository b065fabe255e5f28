//! Copies and fills. Ranges of device memory are checked here, against what this
//! process has allocated.

use std::ffi::{c_uchar, c_uint, c_ushort};
use std::ptr;

use vgpu_cuda_wire::{CUcontext, CUdeviceptr, CUmemcpyAttributes, CUresult, CUstream};

use super::current::{in_context, run, stream};
use crate::Done;
use crate::pointers::Host;
use crate::transfers::{Copy, Fill, transfer};
use crate::work::Work;
use crate::worker::Place;

/// Copies in a stream.
#[inline(always)]
fn copy(to: Place, from: Place, size: usize, of: CUstream) -> Done {
    let session = in_context()?;
    let number = stream(session, of)?;
    if session.captures.any() {
        return run(session, of, || {
            Ok(Work::Copy(Box::new(Copy::row(
                &session.worker,
                to,
                from,
                size,
            )?)))
        });
    }
    transfer(&session.worker, number, to, from, size)
}

pub(crate) fn cuMemcpyHtoD_v2(to: CUdeviceptr, from: Host, size: usize) -> Done {
    copy(Place::Device(to), Place::Host(from), size, ptr::null_mut())
}

pub(crate) fn cuMemcpyDtoH_v2(into: Host, from: CUdeviceptr, size: usize) -> Done {
    copy(
        Place::Host(into),
        Place::Device(from),
        size,
        ptr::null_mut(),
    )
}

pub(crate) fn cuMemcpyDtoD_v2(to: CUdeviceptr, from: CUdeviceptr, size: usize) -> Done {
    cuMemcpyDtoDAsync_v2(to, from, size, ptr::null_mut())
}

pub(crate) fn cuMemcpyHtoDAsync_v2(to: CUdeviceptr, from: Host, size: usize, of: CUstream) -> Done {
    copy(Place::Device(to), Place::Host(from), size, of)
}

pub(crate) fn cuMemcpyDtoHAsync_v2(
    into: Host,
    from: CUdeviceptr,
    size: usize,
    of: CUstream,
) -> Done {
    copy(Place::Host(into), Place::Device(from), size, of)
}

pub(crate) fn cuMemcpyDtoDAsync_v2(
    to: CUdeviceptr,
    from: CUdeviceptr,
    size: usize,
    of: CUstream,
) -> Done {
    copy(Place::Device(to), Place::Device(from), size, of)
}

pub(crate) fn cuMemcpy(to: CUdeviceptr, from: CUdeviceptr, size: usize) -> Done {
    cuMemcpyAsync(to, from, size, ptr::null_mut())
}

/// An address alone says whether it is the device's or the program's.
pub(crate) fn cuMemcpyAsync(to: CUdeviceptr, from: CUdeviceptr, size: usize, of: CUstream) -> Done {
    let session = in_context()?;
    copy(
        session.worker.place(to),
        session.worker.place(from),
        size,
        of,
    )
}

pub(crate) fn cuMemcpyPeer(
    to: CUdeviceptr,
    to_context: CUcontext,
    from: CUdeviceptr,
    from_context: CUcontext,
    size: usize,
) -> Done {
    cuMemcpyPeerAsync(to, to_context, from, from_context, size, ptr::null_mut())
}

/// All contexts have the same memory.
pub(crate) fn cuMemcpyPeerAsync(
    to: CUdeviceptr,
    to_context: CUcontext,
    from: CUdeviceptr,
    from_context: CUcontext,
    size: usize,
    of: CUstream,
) -> Done {
    let session = in_context()?;
    for context in [to_context, from_context] {
        session.contexts.check(context)?;
    }
    cuMemcpyDtoDAsync_v2(to, from, size, of)
}

pub(crate) fn cuMemcpyBatchAsync(
    to: &[CUdeviceptr],
    from: &[CUdeviceptr],
    sizes: &[usize],
    count: usize,
    _attributes: *mut CUmemcpyAttributes,
    _indices: *mut usize,
    attribute_count: usize,
    failed: Option<&mut usize>,
    of: CUstream,
) -> Done {
    let done = batch([to, from], sizes, count, attribute_count, of);
    done.map_err(|(index, error)| {
        if let Some(failed) = failed {
            *failed = index;
        }
        error
    })
}

/// The copies' order is one of those that attributes may ask for. There is no batch of none, nor one
/// in the legacy stream.
pub(crate) fn cuMemcpyBatchAsync_v2(
    to: &[CUdeviceptr],
    from: &[CUdeviceptr],
    sizes: &[usize],
    count: usize,
    _attributes: *mut CUmemcpyAttributes,
    _indices: *mut usize,
    attribute_count: usize,
    of: CUstream,
) -> Done {
    let done = batch([to, from], sizes, count, attribute_count, of);
    done.map_err(|(_, error)| error)
}

/// Copies; where one fails, its index too, or that it is of none alone.
fn batch(
    [to, from]: [&[CUdeviceptr]; 2],
    sizes: &[usize],
    count: usize,
    attribute_count: usize,
    of: CUstream,
) -> Result<(), (usize, CUresult)> {
    const OF_NONE: usize = usize::MAX;
    in_context().map_err(|error| (OF_NONE, error))?;
    if count == 0 || attribute_count == 0 || attribute_count > count || of.addr() < 2 {
        return Err((OF_NONE, CUresult::CUDA_ERROR_INVALID_VALUE));
    }
    let mut copies = to.iter().zip(from).zip(sizes).enumerate();
    copies.try_for_each(|(index, ((to, from), size))| {
        cuMemcpyAsync(*to, *from, *size, of).map_err(|error| (index, error))
    })
}

/// Fills rows, of one element or more.
pub(super) fn fill(fill: Fill, of: CUstream) -> Done {
    let session = in_context()?;
    run(session, of, || {
        fill.check(&session.worker)?;
        Ok(Work::Fill(fill))
    })
}

/// Fills with elements of a width in bytes. As a launch, it is one function with its symbol.
#[inline(always)]
fn fill_row(to: CUdeviceptr, value: u32, element: u8, width: usize, of: CUstream) -> Done {
    let row = Fill {
        to,
        pitch: 0,
        value,
        element,
        width,
        rows: 1,
    };
    let session = in_context()?;
    if session.captures.any() {
        return fill(row, of);
    }
    let stream = stream(session, of)?;
    let width = row.extent()?;
    // Sending it looks where it lies.
    row.send_row(&session.worker, stream, to, width)
}

pub(crate) fn cuMemsetD8_v2(to: CUdeviceptr, value: c_uchar, count: usize) -> Done {
    fill_row(to, value.into(), 1, count, ptr::null_mut())
}

pub(crate) fn cuMemsetD16_v2(to: CUdeviceptr, value: c_ushort, count: usize) -> Done {
    fill_row(to, value.into(), 2, count, ptr::null_mut())
}

pub(crate) fn cuMemsetD32_v2(to: CUdeviceptr, value: c_uint, count: usize) -> Done {
    fill_row(to, value, 4, count, ptr::null_mut())
}

pub(crate) fn cuMemsetD8Async(to: CUdeviceptr, value: c_uchar, count: usize, of: CUstream) -> Done {
    fill_row(to, value.into(), 1, count, of)
}

pub(crate) fn cuMemsetD16Async(
    to: CUdeviceptr,
    value: c_ushort,
    count: usize,
    of: CUstream,
) -> Done {
    fill_row(to, value.into(), 2, count, of)
}

#[inline(always)]
pub(crate) fn cuMemsetD32Async(to: CUdeviceptr, value: c_uint, count: usize, of: CUstream) -> Done {
    fill_row(to, value, 4, count, of)
}
