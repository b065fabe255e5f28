//! Modules, libraries, functions, and launches.

use std::ffi::{CStr, c_int, c_uint, c_void};
use std::ptr;
use std::sync::atomic::Ordering;

use vgpu_cuda_wire::{
    CUdevice, CUdeviceptr, CUfunction, CUfunction_attribute, CUjit_option, CUkernel,
    CUlaunchConfig, CUlibrary, CUlibraryOption, CUmodule, CUresult, CUstream,
};

use super::{in_context, stream};
use crate::Done;
use crate::modules::{Function, Launch};
use crate::pointers::Arguments;
use crate::session::session;

const INVALID: CUresult = CUresult::CUDA_ERROR_INVALID_VALUE;
const NOT_FOUND: CUresult = CUresult::CUDA_ERROR_NOT_FOUND;

pub(crate) fn cuModuleLoadData(module: &mut CUmodule, image: &[u8]) -> Done {
    let session = in_context()?;
    *module = session.modules.load(session, image)?;
    Ok(())
}

/// Options are advice for a compiler that is not here.
pub(crate) fn cuModuleLoadDataEx(
    module: &mut CUmodule,
    image: &[u8],
    _count: c_uint,
    _options: *mut CUjit_option,
    _values: *mut *mut c_void,
) -> Done {
    cuModuleLoadData(module, image)
}

pub(crate) fn cuModuleUnload(module: CUmodule) -> Done {
    let session = in_context()?;
    session.modules.unload(session, module)
}

fn find(module: CUmodule, name: &CStr) -> Result<CUfunction, CUresult> {
    let module = session()?.modules.modules.get(module)?;
    let name = name.to_str().map_err(|_| NOT_FOUND)?;
    let function = module.functions.get(name).ok_or(NOT_FOUND)?;
    Ok(ptr::without_provenance_mut(*function))
}

pub(crate) fn cuModuleGetFunction(
    function: &mut CUfunction,
    module: CUmodule,
    name: &CStr,
) -> Done {
    *function = find(module, name)?;
    Ok(())
}

pub(crate) fn cuModuleGetGlobal_v2(
    pointer: Option<&mut CUdeviceptr>,
    bytes: Option<&mut usize>,
    module: CUmodule,
    name: &CStr,
) -> Done {
    let module = session()?.modules.modules.get(module)?;
    let name = name.to_str().map_err(|_| NOT_FOUND)?;
    let &(address, size) = module.globals.get(name).ok_or(NOT_FOUND)?;
    if let Some(pointer) = pointer {
        *pointer = address;
    }
    if let Some(bytes) = bytes {
        *bytes = usize::try_from(size).unwrap_or(usize::MAX);
    }
    Ok(())
}

pub(crate) fn cuLibraryLoadData(
    library: &mut CUlibrary,
    code: &[u8],
    _jit_options: *mut CUjit_option,
    _jit_values: *mut *mut c_void,
    _jit_count: c_uint,
    _options: *mut CUlibraryOption,
    _values: *mut *mut c_void,
    _count: c_uint,
) -> Done {
    // A library needs no current context.
    let session = session()?;
    *library = session.modules.load(session, code)?;
    Ok(())
}

pub(crate) fn cuLibraryUnload(library: CUlibrary) -> Done {
    let session = session()?;
    session.modules.unload(session, library)
}

pub(crate) fn cuLibraryGetKernel(kernel: &mut CUkernel, library: CUlibrary, name: &CStr) -> Done {
    *kernel = find(library, name)?;
    Ok(())
}

/// There is one device: a kernel is its function.
pub(crate) fn cuKernelGetFunction(function: &mut CUfunction, kernel: CUkernel) -> Done {
    session()?.modules.functions.get(kernel)?;
    *function = kernel;
    Ok(())
}

pub(crate) fn cuKernelGetAttribute(
    value: &mut c_int,
    attribute: CUfunction_attribute,
    kernel: CUkernel,
    _device: CUdevice,
) -> Done {
    cuFuncGetAttribute(value, attribute, kernel)
}

/// `CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES`.
const SHARED_LIMIT: u32 = 8;

fn attribute(function: &Function, attribute: CUfunction_attribute) -> Option<c_int> {
    let about = &function.about;
    let number = match attribute {
        // MAX_THREADS_PER_BLOCK, SHARED_SIZE_BYTES, CONST_SIZE_BYTES.
        0 => about.max_threads,
        1 => about.shared_size,
        2 => 0,
        // LOCAL_SIZE_BYTES, NUM_REGS.
        3 => about.local_size,
        4 => about.registers,
        // PTX_VERSION, BINARY_VERSION, CACHE_MODE_CA.
        5 => about.ptx_version,
        6 => about.ptx_version,
        7 => 0,
        SHARED_LIMIT => return Some(function.shared_limit.load(Ordering::Relaxed)),
        // PREFERRED_SHARED_MEMORY_CARVEOUT: no preference.
        9 => return Some(-1),
        _ => return None,
    };
    c_int::try_from(number).ok()
}

pub(crate) fn cuFuncGetAttribute(
    value: &mut c_int,
    wanted: CUfunction_attribute,
    function: CUfunction,
) -> Done {
    let function = session()?.modules.functions.get(function)?;
    *value = attribute(&function, wanted).ok_or(INVALID)?;
    Ok(())
}

pub(crate) fn cuFuncSetAttribute(
    function: CUfunction,
    attribute: CUfunction_attribute,
    value: c_int,
) -> Done {
    let session = session()?;
    let function = session.modules.functions.get(function)?;
    match attribute {
        SHARED_LIMIT => {
            let optin = vgpu_cuda_wire::Attribute::MAX_SHARED_MEMORY_PER_BLOCK_OPTIN;
            if value < 0 || value > session.hello().attributes[optin.0 as usize] {
                return Err(INVALID);
            }
            function.shared_limit.store(value, Ordering::Relaxed);
            Ok(())
        }
        // The carveout is a hint.
        9 if (-1..=100).contains(&value) => Ok(()),
        _ => Err(INVALID),
    }
}

pub(crate) fn cuFuncGetParamInfo(
    function: CUfunction,
    index: usize,
    offset: &mut usize,
    size: Option<&mut usize>,
) -> Done {
    let function = session()?.modules.functions.get(function)?;
    let &(place, length) = function.about.parameters.get(index).ok_or(INVALID)?;
    *offset = place as usize;
    if let Some(size) = size {
        *size = length as usize;
    }
    Ok(())
}

pub(crate) fn cuLaunchKernel(
    function: CUfunction,
    grid_x: c_uint,
    grid_y: c_uint,
    grid_z: c_uint,
    block_x: c_uint,
    block_y: c_uint,
    block_z: c_uint,
    shared: c_uint,
    of: CUstream,
    parameters: Arguments,
    extra: Arguments,
) -> Done {
    let session = in_context()?;
    let function = session.modules.functions.get(function)?;
    let stream = stream(session, of)?;
    let (grid, block) = ([grid_x, grid_y, grid_z], [block_x, block_y, block_z]);
    Launch::new(function, grid, block, shared, parameters, extra)?.send(session, stream)
}

pub(crate) fn cuLaunchKernelEx(
    config: &CUlaunchConfig,
    function: CUfunction,
    parameters: Arguments,
    extra: Arguments,
) -> Done {
    let session = in_context()?;
    let function = session.modules.functions.get(function)?;
    let stream = stream(session, config.stream)?;
    let (grid, block) = (config.grid, config.block);
    Launch::new(function, grid, block, config.shared, parameters, extra)?.send(session, stream)
}
