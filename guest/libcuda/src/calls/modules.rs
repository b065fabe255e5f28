//! Modules, libraries, and what is in them.

use std::ffi::{CStr, c_uint, c_void};
use std::os::unix::ffi::OsStrExt;
use std::ptr;

use vgpu_cuda_wire::{
    CUcontext, CUdeviceptr, CUfunction, CUjit_option, CUkernel, CUlibrary, CUlibraryOption,
    CUmodule, CUresult,
};

use super::current::in_context;
use crate::Done;
use crate::contexts::current;
use crate::pointers::Logs;
use crate::session::session;

const NOT_FOUND: CUresult = CUresult::CUDA_ERROR_NOT_FOUND;

/// Loads an image for a context, or for none; tells a program's log why it is
/// refused.
fn load(
    image: &[u8],
    context: CUcontext,
    options: &[CUjit_option],
    values: &mut [*mut c_void],
) -> Result<CUmodule, CUresult> {
    let session = session()?;
    let logs = Logs::new(options, values);
    let loaded = session
        .modules
        .load(&session.worker.connection, image, context);
    let module = session.worker.connection.tell(&logs, loaded)?;
    // What copies reach beside what was allocated.
    let variables = session.modules.modules.get(module)?;
    session.worker.allocations.add_variables(&variables);
    Ok(module)
}

/// Loads an image for the current context.
fn load_here(
    image: &[u8],
    options: &[CUjit_option],
    values: &mut [*mut c_void],
) -> Result<CUmodule, CUresult> {
    in_context()?;
    load(image, current(), options, values)
}

/// The bytes of a file.
pub(super) fn file(path: &CStr) -> Result<Vec<u8>, CUresult> {
    let path = std::path::Path::new(std::ffi::OsStr::from_bytes(path.to_bytes()));
    std::fs::read(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::OutOfMemory => CUresult::CUDA_ERROR_OUT_OF_MEMORY,
        _ => CUresult::CUDA_ERROR_FILE_NOT_FOUND,
    })
}

pub(crate) fn cuModuleLoadData(module: &mut CUmodule, image: &[u8]) -> Done {
    *module = load_here(image, &[], &mut [])?;
    Ok(())
}

pub(crate) fn cuModuleLoadFatBinary(module: &mut CUmodule, image: &[u8]) -> Done {
    cuModuleLoadData(module, image)
}

pub(crate) fn cuModuleLoad(module: &mut CUmodule, path: &CStr) -> Done {
    in_context()?;
    *module = load_here(&file(path)?, &[], &mut [])?;
    Ok(())
}

/// Options are advice for a compiler that is not here, but for its logs.
pub(crate) fn cuModuleLoadDataEx(
    module: &mut CUmodule,
    image: &[u8],
    _count: c_uint,
    options: &[CUjit_option],
    values: &mut [*mut c_void],
) -> Done {
    *module = load_here(image, options, values)?;
    Ok(())
}

pub(crate) fn cuModuleUnload(module: CUmodule) -> Done {
    let session = in_context()?;
    let module = session.modules.remove(module)?;
    session.unload(&module)
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

/// A library needs no current context, and ends with none.
pub(crate) fn cuLibraryLoadData(
    library: &mut CUlibrary,
    code: &[u8],
    jit_options: &[CUjit_option],
    jit_values: &mut [*mut c_void],
    _jit_count: c_uint,
    _options: &[CUlibraryOption],
    _values: &[*mut c_void],
    _count: c_uint,
) -> Done {
    *library = load(code, ptr::null_mut(), jit_options, jit_values)?;
    Ok(())
}

pub(crate) fn cuLibraryLoadFromFile(
    library: &mut CUlibrary,
    path: &CStr,
    jit_options: &[CUjit_option],
    jit_values: &mut [*mut c_void],
    _jit_count: c_uint,
    _options: &[CUlibraryOption],
    _values: &[*mut c_void],
    _count: c_uint,
) -> Done {
    session()?;
    *library = load(&file(path)?, ptr::null_mut(), jit_options, jit_values)?;
    Ok(())
}

pub(crate) fn cuLibraryUnload(library: CUlibrary) -> Done {
    let session = session()?;
    let module = session.modules.remove(library)?;
    session.unload(&module)
}

/// There is one device: a library is its module.
pub(crate) fn cuLibraryGetModule(module: &mut CUmodule, library: CUlibrary) -> Done {
    session()?.modules.modules.get(library)?;
    *module = library;
    Ok(())
}

pub(crate) fn cuLibraryGetGlobal(
    pointer: Option<&mut CUdeviceptr>,
    bytes: Option<&mut usize>,
    library: CUlibrary,
    name: &CStr,
) -> Done {
    cuModuleGetGlobal_v2(pointer, bytes, library, name)
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
