//! Memory that the device and the program share, which an attribute of the device says that there is
//! none of: what asks for some is refused, and what takes some has been given other memory.

use std::ffi::{CStr, c_uint, c_void};

use vgpu_cuda_wire::{
    CUdevice, CUdeviceptr, CUlibrary, CUmem_advise, CUmem_range_attribute, CUmemLocation, CUresult,
    CUstream,
};

use super::current::{in_context, stream};
use crate::Done;
use crate::session::session;

const INVALID: CUresult = CUresult::CUDA_ERROR_INVALID_VALUE;

pub(crate) fn cuMemAllocManaged(_pointer: &mut CUdeviceptr, size: usize, flags: c_uint) -> Done {
    // Reached by any stream, or by the program first.
    const ANY: c_uint = 1;
    const HOST: c_uint = 2;
    in_context()?;
    if size == 0 || ![ANY, HOST].contains(&flags) {
        return Err(INVALID);
    }
    Err(crate::unsupported("cuMemAllocManaged"))
}

fn not_managed() -> Done {
    in_context()?;
    Err(INVALID)
}

pub(crate) fn cuMemAdvise(_: CUdeviceptr, _: usize, _: CUmem_advise, _: CUdevice) -> Done {
    not_managed()
}

pub(crate) fn cuMemAdvise_v2(_: CUdeviceptr, _: usize, _: CUmem_advise, _: CUmemLocation) -> Done {
    not_managed()
}

pub(crate) fn cuMemPrefetchAsync(_: CUdeviceptr, _: usize, _: CUdevice, of: CUstream) -> Done {
    stream(in_context()?, of)?;
    not_managed()
}

pub(crate) fn cuMemPrefetchAsync_v2(
    _: CUdeviceptr,
    _: usize,
    _: CUmemLocation,
    _: c_uint,
    of: CUstream,
) -> Done {
    stream(in_context()?, of)?;
    not_managed()
}

pub(crate) fn cuMemRangeGetAttribute(
    _: *mut c_void,
    _: usize,
    _: CUmem_range_attribute,
    _: CUdeviceptr,
    _: usize,
) -> Done {
    not_managed()
}

pub(crate) fn cuMemRangeGetAttributes(
    _: *mut *mut c_void,
    _: *mut usize,
    _: *mut CUmem_range_attribute,
    _: usize,
    _: CUdeviceptr,
    _: usize,
) -> Done {
    not_managed()
}

pub(crate) fn cuStreamAttachMemAsync(of: CUstream, _: CUdeviceptr, _: usize, _: c_uint) -> Done {
    stream(in_context()?, of)?;
    not_managed()
}

/// No module has a variable of that kind.
pub(crate) fn cuLibraryGetManaged(
    _: *mut CUdeviceptr,
    _: *mut usize,
    library: CUlibrary,
    _: &CStr,
) -> Done {
    session()?.modules.modules.get(library)?;
    Err(CUresult::CUDA_ERROR_NOT_FOUND)
}
