//! Initialisation, versions, errors, and how functions are found.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::ptr;

use vgpu_cuda_wire::{CUdriverProcAddressQueryResult, CUresult, CUuuid};

use crate::{Done, exports, session};

/// The version of the interface: 13.0.
const VERSION: c_int = 13_000;
/// `CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM`.
const PER_THREAD: u64 = 2;
/// By this table cudart asks whether the driver is NVIDIA's own.
const INTEGRITY: [u8; 16] = [
    0xd4, 0x08, 0x20, 0x55, 0xbd, 0xe6, 0x70, 0x4b, 0x8d, 0x34, 0xba, 0x12, 0x3c, 0x66, 0xe1, 0xf2,
];

pub(crate) fn cuInit(flags: c_uint) -> Done {
    match flags {
        0 => session::open(),
        _ => Err(CUresult::CUDA_ERROR_INVALID_VALUE),
    }
}

pub(crate) fn cuDriverGetVersion(version: &mut c_int) -> Done {
    *version = VERSION;
    Ok(())
}

fn text(text: Option<&'static CStr>, into: &mut *const c_char) -> Done {
    *into = text.map_or(ptr::null(), CStr::as_ptr);
    text.map(|_| ()).ok_or(CUresult::CUDA_ERROR_INVALID_VALUE)
}

pub(crate) fn cuGetErrorName(error: CUresult, name: &mut *const c_char) -> Done {
    text(error.name(), name)
}

pub(crate) fn cuGetErrorString(error: CUresult, string: &mut *const c_char) -> Done {
    text(error.text(), string)
}

/// How a symbol was found, and where.
fn find(
    symbol: &CStr,
    version: c_int,
    flags: u64,
) -> (CUdriverProcAddressQueryResult, *mut c_void) {
    const FOUND: u32 = 0;
    const NOT_FOUND: u32 = 1;
    const TOO_OLD: u32 = 2;
    let Ok(name) = symbol.to_str() else {
        return (NOT_FOUND, ptr::null_mut());
    };
    let version = u32::try_from(version).unwrap_or_default();
    let wanted = flags & PER_THREAD != 0;
    let named = || exports::symbols().filter(|symbol| symbol.base == name || symbol.name == name);
    let fitting = named().filter(|symbol| symbol.since <= version);
    let fitting = fitting.filter(|symbol| wanted || !symbol.per_thread || symbol.name == name);
    match fitting.max_by_key(|symbol| (symbol.since, symbol.per_thread)) {
        Some(symbol) => (FOUND, symbol.address),
        None if named().next().is_some() => (TOO_OLD, ptr::null_mut()),
        None => (NOT_FOUND, ptr::null_mut()),
    }
}

pub(crate) fn cuGetProcAddress_v2(
    symbol: &CStr,
    function: &mut *mut c_void,
    version: c_int,
    flags: u64,
    status: Option<&mut CUdriverProcAddressQueryResult>,
) -> Done {
    let (found, address) = find(symbol, version, flags);
    *function = address;
    if let Some(status) = status {
        *status = found;
    }
    Ok(())
}

pub(crate) fn cuGetProcAddress(
    symbol: &CStr,
    function: &mut *mut c_void,
    version: c_int,
    flags: u64,
) -> Done {
    *function = find(symbol, version, flags).1;
    match function.is_null() {
        true => Err(CUresult::CUDA_ERROR_NOT_FOUND),
        false => Ok(()),
    }
}

pub(crate) fn cuGetExportTable(table: &mut *const c_void, id: &CUuuid) -> Done {
    *table = ptr::null();
    if id.bytes == INTEGRITY {
        let program = std::env::current_exe().unwrap_or_default();
        eprintln!(
            "vgpu: {}: a CUDA runtime that is linked statically asks whether the driver is NVIDIA's \
             own, and this one is not; build with `-cudart shared`",
            program.display()
        );
    }
    Err(CUresult::CUDA_ERROR_NOT_FOUND)
}
