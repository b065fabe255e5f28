//! The functions, with the pointers of the driver API. Each `CUresult` is a
//! number.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int, c_uint, c_ulonglong, c_void};
use std::slice;

use crate::state::{BAD_HANDLE, CAPACITY, Done, GRANULARITY, INVALID, init, with};

/// `CU_JIT_ERROR_LOG_BUFFER` and `CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES`.
const LOG: [c_uint; 2] = [5, 6];

fn code(done: Done) -> c_uint {
    done.err().unwrap_or(0)
}

/// Writes through a pointer of the caller's, if it is one.
///
/// # Safety
/// It is null, or valid for a write.
unsafe fn put<T>(to: *mut T, value: T) -> Done {
    // SAFETY: the caller's promise.
    let to = unsafe { to.as_mut() };
    *to.ok_or(INVALID)? = value;
    Ok(())
}

/// Defines exported functions whose pointers are as the driver API states them.
macro_rules! exports {
    ($($name:ident($($argument:ident: $type:ty),* $(,)?) $body:block)*) => {
        $(#[unsafe(no_mangle)]
        unsafe extern "C" fn $name($($argument: $type),*) -> c_uint {
            let call = || -> Done { $body };
            code(call())
        })*
    };
}

// SAFETY of all of them: the caller is the engine's layer of calls, whose rule
// is that of the driver API: each pointer is null, or valid as its type says.
exports! {
    cuInit(flags: c_uint) {
        if flags != 0 {
            return Err(INVALID);
        }
        init();
        Ok(())
    }
    cuDriverGetVersion(version: *mut c_int) {
        // SAFETY: as above.
        unsafe { put(version, 12_040) }
    }
    cuDeviceGet(device: *mut c_int, ordinal: c_int) {
        match ordinal {
            // SAFETY: as above.
            0 => with(|_| unsafe { put(device, 0) }),
            _ => Err(101),
        }
    }
    cuDeviceGetName(name: *mut u8, length: c_int, device: c_int) {
        let text = b"stand-in of a GPU\0";
        if device != 0 || (length as usize) < text.len() {
            return Err(INVALID);
        }
        // SAFETY: as above, for so many bytes.
        unsafe { slice::from_raw_parts_mut(name, text.len()) }.copy_from_slice(text);
        Ok(())
    }
    cuDeviceGetAttribute(value: *mut c_int, attribute: c_uint, device: c_int) {
        let found = match attribute {
            1..=3 => 1024,
            4 => 64,
            5 => i32::MAX,
            6 | 7 => 65535,
            8 => 48 << 10,
            9 => 64 << 10,
            10 => 32,
            16 => 1,
            75 => 7,
            76 => 0,
            88 => 0,
            97 => 227 << 10,
            _ => return Err(INVALID),
        };
        match device {
            // SAFETY: as above.
            0 => unsafe { put(value, found) },
            _ => Err(101),
        }
    }
    cuDeviceTotalMem_v2(bytes: *mut usize, _device: c_int) {
        // SAFETY: as above.
        unsafe { put(bytes, CAPACITY as usize) }
    }
    cuDevicePrimaryCtxRetain(context: *mut u64, _device: c_int) {
        // SAFETY: as above.
        with(|_| unsafe { put(context, 0xc0) })
    }
    cuCtxSetCurrent(context: u64) {
        with(|_| (context == 0xc0).then_some(()).ok_or(201_u32))
    }
    cuCtxSynchronize() {
        with(|_| Ok(()))
    }
    cuMemGetInfo_v2(free: *mut usize, total: *mut usize) {
        crate::tries::all()?;
        with(|state| {
            // SAFETY: as above.
            unsafe { put(free, (CAPACITY - state.used()) as usize) }?;
            // SAFETY: as above.
            unsafe { put(total, CAPACITY as usize) }
        })
    }
    cuMemGetAllocationGranularity(granularity: *mut usize, _properties: *const c_void, _option: c_uint) {
        // SAFETY: as above.
        unsafe { put(granularity, GRANULARITY as usize) }
    }
    cuMemAddressReserve(
        address: *mut u64,
        size: usize,
        alignment: usize,
        hint: u64,
        _flags: c_ulonglong,
    ) {
        with(|state| {
            let reserved = state.reserve(size as u64, alignment as u64, hint)?;
            // SAFETY: as above.
            unsafe { put(address, reserved) }
        })
    }
    cuMemAddressFree(address: u64, size: usize) {
        with(|state| state.release(address, size as u64))
    }
    cuMemCreate(handle: *mut u64, size: usize, _properties: *const c_void, _flags: c_ulonglong) {
        // SAFETY: as above.
        with(|state| state.create(size as u64).and_then(|made| unsafe { put(handle, made) }))
    }
    cuMemRelease(handle: u64) {
        with(|state| state.release_memory(handle))
    }
    cuMemMap(address: u64, size: usize, offset: usize, handle: u64, _flags: c_ulonglong) {
        match offset {
            0 => with(|state| state.map(address, size as u64, handle)),
            _ => Err(INVALID),
        }
    }
    cuMemUnmap(address: u64, size: usize) {
        with(|state| state.unmap(address, size as u64))
    }
    cuMemSetAccess(address: u64, size: usize, _access: *const c_void, count: usize) {
        match count {
            1 => with(|state| state.set_access(address, size as u64)),
            _ => Err(INVALID),
        }
    }
    cuMemcpyHtoD_v2(to: u64, from: *const u8, size: usize) {
        // SAFETY: as above, for so many bytes.
        with(|state| state.write(to, unsafe { slice::from_raw_parts(from, size) }))
    }
    cuMemcpyDtoH_v2(to: *mut u8, from: u64, size: usize) {
        // SAFETY: as above, for so many bytes.
        with(|state| state.read(from, unsafe { slice::from_raw_parts_mut(to, size) }))
    }
    cuMemcpyDtoD_v2(to: u64, from: u64, size: usize) {
        with(|state| state.copy(to, from, size as u64))
    }
    cuMemsetD8_v2(to: u64, value: u8, count: usize) {
        with(|state| state.fill(to, &[value], count))
    }
    cuMemsetD16_v2(to: u64, value: u16, count: usize) {
        with(|state| state.fill(to, &value.to_ne_bytes(), count))
    }
    cuMemsetD32_v2(to: u64, value: c_uint, count: usize) {
        with(|state| state.fill(to, &value.to_ne_bytes(), count))
    }
    cuModuleLoadDataEx(
        module: *mut u64,
        image: *const c_char,
        count: c_uint,
        options: *const c_uint,
        values: *mut *mut u8,
    ) {
        // SAFETY: as above: text that ends with 0, as no cubin is taken here.
        let text = unsafe { CStr::from_ptr(image) }.to_str().map_err(|_| 209_u32)?;
        let loaded = with(|state| Ok(state.load(text)))?;
        let (code, said) = match loaded {
            // SAFETY: as above.
            Ok(handle) => return unsafe { put(module, handle) },
            Err(refused) => refused,
        };
        // SAFETY: as above, for so many options.
        let options = unsafe { slice::from_raw_parts(options, count as usize) };
        if options == LOG {
            // SAFETY: as above, for so many values.
            let values = unsafe { slice::from_raw_parts(values, options.len()) };
            let length = values[1].addr().min(said.len() + 1);
            // SAFETY: the log has the length that its option says.
            let log = unsafe { slice::from_raw_parts_mut(values[0], length) };
            let (last, text) = log.split_last_mut().ok_or(INVALID)?;
            text.copy_from_slice(&said.as_bytes()[..text.len()]);
            *last = 0;
        }
        Err(code)
    }
    cuModuleUnload(module: u64) {
        with(|state| state.unload(module))
    }
    cuModuleGetFunctionCount(count: *mut c_uint, module: u64) {
        with(|state| {
            let functions = state.functions(module)?.len() as c_uint;
            // SAFETY: as above.
            unsafe { put(count, functions) }
        })
    }
    cuModuleEnumerateFunctions(functions: *mut u64, count: c_uint, module: u64) {
        with(|state| {
            let found = state.functions(module)?;
            // SAFETY: as above, for so many handles.
            let list = unsafe { slice::from_raw_parts_mut(functions, count as usize) };
            for (to, from) in list.iter_mut().zip(found) {
                *to = from;
            }
            Ok(())
        })
    }
    cuModuleGetGlobal_v2(address: *mut u64, bytes: *mut usize, module: u64, name: *const c_char) {
        // SAFETY: as above.
        let name = unsafe { CStr::from_ptr(name) }.to_str().map_err(|_| INVALID)?;
        with(|state| {
            let (at, size) = state.global(module, name)?;
            // SAFETY: as above.
            unsafe { put(address, at) }?;
            // SAFETY: as above.
            unsafe { put(bytes, size as usize) }
        })
    }
    cuFuncGetName(name: *mut *const c_char, function: u64) {
        // SAFETY: as above.
        with(|state| state.name(function).and_then(|text| unsafe { put(name, text) }))
    }
    cuFuncGetAttribute(value: *mut c_int, attribute: c_uint, function: u64) {
        with(|state| {
            let kernel = state.kernel(function)?;
            let found = match attribute {
                0 => kernel.max_threads.unwrap_or(1024),
                1 => kernel.shared_size,
                3 => kernel.local_size,
                4 => kernel.registers,
                5 => 70,
                _ => return Err(INVALID),
            };
            // SAFETY: as above.
            unsafe { put(value, found as c_int) }
        })
    }
    cuFuncSetAttribute(function: u64, attribute: c_uint, value: c_int) {
        with(|state| {
            state.kernel(function)?;
            (attribute == 8 && value <= 227 << 10).then_some(()).ok_or(INVALID)
        })
    }
    cuFuncGetParamInfo(function: u64, index: usize, offset: *mut usize, size: *mut usize) {
        with(|state| {
            let parameter = *state.kernel(function)?.parameters.get(index).ok_or(INVALID)?;
            // SAFETY: as above.
            unsafe { put(offset, parameter.offset as usize) }?;
            // SAFETY: as above.
            unsafe { put(size, parameter.size as usize) }
        })
    }
    cuLaunchKernel(
        function: u64,
        grid_x: c_uint,
        grid_y: c_uint,
        grid_z: c_uint,
        block_x: c_uint,
        block_y: c_uint,
        block_z: c_uint,
        shared: c_uint,
        stream: u64,
        parameters: *const c_void,
        extra: *const *const c_void,
    ) {
        if stream != 0 || !parameters.is_null() {
            return Err(BAD_HANDLE);
        }
        let (grid, threads) = ([grid_x, grid_y, grid_z], [block_x, block_y, block_z]);
        if extra.is_null() {
            return with(|state| state.launch(function, grid, threads, shared, &[]));
        }
        // SAFETY: as above: two options with their values, and the end.
        let extra = unsafe { slice::from_raw_parts(extra, 5) };
        let options = [extra[0].addr(), extra[2].addr(), extra[4].addr()];
        if options != [1, 2, 0] {
            return Err(INVALID);
        }
        // SAFETY: as above: the size's value points to it.
        let size = unsafe { *extra[3].cast::<usize>() };
        // SAFETY: as above, for so many bytes.
        let block = unsafe { slice::from_raw_parts(extra[1].cast(), size) };
        with(|state| state.launch(function, grid, threads, shared, block))
    }
}

/// Reservations, handles of memory, mappings and modules that are held: for
/// tests of leaks.
///
/// # Safety
/// The pointer is valid for a write.
#[unsafe(no_mangle)]
unsafe extern "C" fn standin_held(held: *mut [usize; 4]) -> c_uint {
    // SAFETY: the caller's promise.
    code(with(|state| unsafe { put(held, state.held()) }))
}
