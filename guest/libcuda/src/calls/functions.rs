//! What functions, kernels and modules are, and hints of how they are to run.

use std::ffi::{CStr, c_char, c_uint, c_void};
use std::ptr;

use vgpu_cuda_wire::{
    CUdevice, CUfunc_cache, CUfunction, CUfunctionLoadingState, CUkernel, CUlibrary, CUmodule,
    CUmoduleLoadingMode, CUresult, CUsharedconfig, CUstream,
};

use super::current::{in_context, stream};
use super::devices::on;
use super::launches::cuFuncGetParamInfo;
use crate::Done;
use crate::pointers::Arguments;
use crate::session::session;

const INVALID: CUresult = CUresult::CUDA_ERROR_INVALID_VALUE;

/// The text is the program's to read until the module's end.
pub(crate) fn cuFuncGetName(name: &mut *const c_char, function: CUfunction) -> Done {
    *name = session()?.modules.functions.get(function)?.name.as_ptr();
    Ok(())
}

pub(crate) fn cuFuncGetModule(module: &mut CUmodule, function: CUfunction) -> Done {
    let module_of = session()?.modules.functions.get(function)?.module;
    *module = ptr::without_provenance_mut(usize::try_from(module_of).unwrap_or_default());
    Ok(())
}

pub(crate) fn cuFuncGetParamCount(function: CUfunction, count: &mut usize) -> Done {
    let function = session()?.modules.functions.get(function)?;
    *count = function.about.parameters.len();
    Ok(())
}

/// All functions are, with their modules.
pub(crate) fn cuFuncIsLoaded(state: &mut CUfunctionLoadingState, function: CUfunction) -> Done {
    const LOADED: u32 = 1;
    session()?.modules.functions.get(function)?;
    *state = LOADED;
    Ok(())
}

pub(crate) fn cuFuncLoad(function: CUfunction) -> Done {
    session()?.modules.functions.get(function).map(|_| ())
}

/// Checks a hint of how a multiprocessor's memory is divided.
pub(super) fn check_cache(config: CUfunc_cache) -> Done {
    // None, more shared memory, more cache, as much of either.
    match config {
        0..=3 => Ok(()),
        _ => Err(INVALID),
    }
}

/// Checks a hint of how wide the banks of shared memory are.
pub(super) fn check_banks(config: CUsharedconfig) -> Done {
    match config {
        0..=2 => Ok(()),
        _ => Err(INVALID),
    }
}

pub(crate) fn cuFuncSetCacheConfig(function: CUfunction, config: CUfunc_cache) -> Done {
    session()?.modules.functions.get(function)?;
    check_cache(config)
}

pub(crate) fn cuFuncSetSharedMemConfig(function: CUfunction, config: CUsharedconfig) -> Done {
    session()?.modules.functions.get(function)?;
    check_banks(config)
}

pub(crate) fn cuKernelGetName(name: &mut *const c_char, kernel: CUkernel) -> Done {
    cuFuncGetName(name, kernel)
}

/// There is one device: a library is its module.
pub(crate) fn cuKernelGetLibrary(library: &mut CUlibrary, kernel: CUkernel) -> Done {
    cuFuncGetModule(library, kernel)
}

pub(crate) fn cuKernelGetParamInfo(
    kernel: CUkernel,
    index: usize,
    offset: &mut usize,
    size: Option<&mut usize>,
) -> Done {
    cuFuncGetParamInfo(kernel, index, offset, size)
}

pub(crate) fn cuKernelGetParamCount(kernel: CUkernel, count: &mut usize) -> Done {
    cuFuncGetParamCount(kernel, count)
}

pub(crate) fn cuKernelSetCacheConfig(
    kernel: CUkernel,
    config: CUfunc_cache,
    device: CUdevice,
) -> Done {
    on(device)?;
    cuFuncSetCacheConfig(kernel, config)
}

pub(crate) fn cuModuleGetFunctionCount(count: &mut c_uint, module: CUmodule) -> Done {
    let module = session()?.modules.modules.get(module)?;
    *count = c_uint::try_from(module.functions.len()).unwrap_or(c_uint::MAX);
    Ok(())
}

/// As many as there is room for, in the image's order.
pub(crate) fn cuModuleEnumerateFunctions(
    functions: &mut [CUfunction],
    _count: c_uint,
    module: CUmodule,
) -> Done {
    let module = session()?.modules.modules.get(module)?;
    let mut all: Vec<_> = module.functions.values().copied().collect();
    // Handles grow.
    all.sort_unstable();
    for (place, function) in functions.iter_mut().zip(all) {
        *place = ptr::without_provenance_mut(function);
    }
    Ok(())
}

pub(crate) fn cuModuleGetLoadingMode(mode: &mut CUmoduleLoadingMode) -> Done {
    const EAGER: u32 = 1;
    session()?;
    *mode = EAGER;
    Ok(())
}

pub(crate) fn cuLibraryGetKernelCount(count: &mut c_uint, library: CUlibrary) -> Done {
    cuModuleGetFunctionCount(count, library)
}

pub(crate) fn cuLibraryEnumerateKernels(
    kernels: &mut [CUkernel],
    count: c_uint,
    library: CUlibrary,
) -> Done {
    cuModuleEnumerateFunctions(kernels, count, library)
}

/// There is no function that device and program share.
pub(crate) fn cuLibraryGetUnifiedFunction(
    _function: *mut *mut c_void,
    library: CUlibrary,
    _symbol: &CStr,
) -> Done {
    session()?.modules.modules.get(library)?;
    Err(CUresult::CUDA_ERROR_NOT_FOUND)
}

/// Blocks do not wait for each other, which an attribute of the device says.
pub(crate) fn cuLaunchCooperativeKernel(
    function: CUfunction,
    _grid_x: c_uint,
    _grid_y: c_uint,
    _grid_z: c_uint,
    _block_x: c_uint,
    _block_y: c_uint,
    _block_z: c_uint,
    _shared: c_uint,
    of: CUstream,
    _parameters: Arguments,
) -> Done {
    let session = in_context()?;
    stream(session, of)?;
    session.modules.functions.get(function)?;
    Err(crate::unsupported("a cooperative launch"))
}
