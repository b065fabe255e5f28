//! Copies and fills of rows and slices.

use std::ffi::{c_uchar, c_uint, c_ushort};
use std::ptr;

use vgpu_cuda_wire::{CUdeviceptr, CUstream};

use super::copies::fill;
use super::current::{in_context, run};
use crate::Done;
use crate::pointers::CopyCall;
use crate::transfers::{Copy, Fill};
use crate::work::Work;

fn copy(call: CopyCall, of: CUstream) -> Done {
    let session = in_context()?;
    run(session, of, || {
        Ok(Work::Copy(Box::new(Copy::new(&session.worker, call)?)))
    })
}

pub(crate) fn cuMemcpy2D_v2(call: CopyCall) -> Done {
    copy(call, ptr::null_mut())
}

pub(crate) fn cuMemcpy2DUnaligned_v2(call: CopyCall) -> Done {
    copy(call, ptr::null_mut())
}

pub(crate) fn cuMemcpy2DAsync_v2(call: CopyCall, of: CUstream) -> Done {
    copy(call, of)
}

pub(crate) fn cuMemcpy3D_v2(call: CopyCall) -> Done {
    copy(call, ptr::null_mut())
}

pub(crate) fn cuMemcpy3DAsync_v2(call: CopyCall, of: CUstream) -> Done {
    copy(call, of)
}

/// All contexts have the same memory.
pub(crate) fn cuMemcpy3DPeer(call: CopyCall) -> Done {
    copy(call, ptr::null_mut())
}

pub(crate) fn cuMemcpy3DPeerAsync(call: CopyCall, of: CUstream) -> Done {
    copy(call, of)
}

fn rows(to: u64, pitch: usize, value: u32, element: u8, [width, rows]: [usize; 2]) -> Fill {
    Fill {
        to,
        pitch,
        value,
        element,
        width,
        rows,
    }
}

pub(crate) fn cuMemsetD2D8_v2(
    to: CUdeviceptr,
    pitch: usize,
    value: c_uchar,
    width: usize,
    height: usize,
) -> Done {
    cuMemsetD2D8Async(to, pitch, value, width, height, ptr::null_mut())
}

pub(crate) fn cuMemsetD2D16_v2(
    to: CUdeviceptr,
    pitch: usize,
    value: c_ushort,
    width: usize,
    height: usize,
) -> Done {
    cuMemsetD2D16Async(to, pitch, value, width, height, ptr::null_mut())
}

pub(crate) fn cuMemsetD2D32_v2(
    to: CUdeviceptr,
    pitch: usize,
    value: c_uint,
    width: usize,
    height: usize,
) -> Done {
    cuMemsetD2D32Async(to, pitch, value, width, height, ptr::null_mut())
}

pub(crate) fn cuMemsetD2D8Async(
    to: CUdeviceptr,
    pitch: usize,
    value: c_uchar,
    width: usize,
    height: usize,
    of: CUstream,
) -> Done {
    fill(rows(to, pitch, value.into(), 1, [width, height]), of)
}

pub(crate) fn cuMemsetD2D16Async(
    to: CUdeviceptr,
    pitch: usize,
    value: c_ushort,
    width: usize,
    height: usize,
    of: CUstream,
) -> Done {
    fill(rows(to, pitch, value.into(), 2, [width, height]), of)
}

pub(crate) fn cuMemsetD2D32Async(
    to: CUdeviceptr,
    pitch: usize,
    value: c_uint,
    width: usize,
    height: usize,
    of: CUstream,
) -> Done {
    fill(rows(to, pitch, value, 4, [width, height]), of)
}
