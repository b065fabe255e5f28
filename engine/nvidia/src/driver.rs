//! The functions of the genuine `libcuda.so.1` that are called, by name.

use std::ffi::{c_char, c_int, c_uint, c_ulonglong, c_void};
use std::path::Path;

use cudarc::driver::sys::{
    CUcontext, CUdevice, CUdevice_attribute, CUdeviceptr, CUfunction, CUfunction_attribute,
    CUjit_option, CUmemAccessDesc, CUmemAllocationGranularity_flags, CUmemAllocationProp,
    CUmemGenericAllocationHandle, CUmodule, CUstream,
};
use libloading::os::unix::Library;

use crate::OpenError;

macro_rules! functions {
    ($($name:ident($($argument:ident: $type:ty),* $(,)?);)*) => {
        /// The functions. Each gives a `CUresult`, as a number: a driver may
        /// know more of them than this program.
        #[allow(non_snake_case)]
        #[derive(Debug)]
        pub(crate) struct Driver {
            $(pub(crate) $name: unsafe extern "C" fn($($argument: $type),*) -> c_uint,)*
            /// What the functions are in: it stays as long as they do.
            _library: Library,
        }

        // The signatures are cudarc's.
        $(const _: unsafe fn($($type),*) -> cudarc::driver::sys::CUresult =
            cudarc::driver::sys::$name;)*

        impl Driver {
            /// Loads the library, and finds all functions.
            #[allow(unsafe_code)]
            pub(crate) fn load(path: &Path) -> Result<Self, OpenError> {
                // SAFETY: the operator names the file, and trusts its code as
                // that of the driver below it.
                let library = unsafe { Library::new(path) };
                let library = library.map_err(|error| OpenError::Library {
                    path: path.into(),
                    cause: error.to_string(),
                })?;
                Ok(Self {
                    $($name: {
                        let name = concat!(stringify!($name), "\0").as_bytes();
                        // SAFETY: the driver API states this signature for
                        // the name, and cudarc has the same.
                        let found = unsafe { library.get(name) };
                        *found.map_err(|_| OpenError::TooOld {
                            path: path.into(),
                            function: stringify!($name),
                        })?
                    },)*
                    _library: library,
                })
            }
        }
    };
}

functions! {
    cuInit(flags: c_uint);
    cuDriverGetVersion(version: *mut c_int);
    cuDeviceGet(device: *mut CUdevice, ordinal: c_int);
    cuDeviceGetName(name: *mut c_char, length: c_int, device: CUdevice);
    cuDeviceGetAttribute(value: *mut c_int, attribute: CUdevice_attribute, device: CUdevice);
    cuDeviceTotalMem_v2(bytes: *mut usize, device: CUdevice);
    cuDevicePrimaryCtxRetain(context: *mut CUcontext, device: CUdevice);
    cuCtxSetCurrent(context: CUcontext);
    cuCtxSynchronize();
    cuMemGetInfo_v2(free: *mut usize, total: *mut usize);
    cuMemGetAllocationGranularity(
        granularity: *mut usize,
        properties: *const CUmemAllocationProp,
        option: CUmemAllocationGranularity_flags,
    );
    cuMemAddressReserve(
        address: *mut CUdeviceptr,
        size: usize,
        alignment: usize,
        hint: CUdeviceptr,
        flags: c_ulonglong,
    );
    cuMemAddressFree(address: CUdeviceptr, size: usize);
    cuMemCreate(
        handle: *mut CUmemGenericAllocationHandle,
        size: usize,
        properties: *const CUmemAllocationProp,
        flags: c_ulonglong,
    );
    cuMemRelease(handle: CUmemGenericAllocationHandle);
    cuMemMap(
        address: CUdeviceptr,
        size: usize,
        offset: usize,
        handle: CUmemGenericAllocationHandle,
        flags: c_ulonglong,
    );
    cuMemUnmap(address: CUdeviceptr, size: usize);
    cuMemSetAccess(
        address: CUdeviceptr,
        size: usize,
        access: *const CUmemAccessDesc,
        count: usize,
    );
    cuMemcpyHtoD_v2(to: CUdeviceptr, from: *const c_void, size: usize);
    cuMemcpyDtoH_v2(to: *mut c_void, from: CUdeviceptr, size: usize);
    cuMemcpyDtoD_v2(to: CUdeviceptr, from: CUdeviceptr, size: usize);
    cuMemsetD8_v2(to: CUdeviceptr, value: u8, count: usize);
    cuMemsetD16_v2(to: CUdeviceptr, value: u16, count: usize);
    cuMemsetD32_v2(to: CUdeviceptr, value: c_uint, count: usize);
    cuModuleLoadDataEx(
        module: *mut CUmodule,
        image: *const c_void,
        count: c_uint,
        options: *mut CUjit_option,
        values: *mut *mut c_void,
    );
    cuModuleUnload(module: CUmodule);
    cuModuleGetFunctionCount(count: *mut c_uint, module: CUmodule);
    cuModuleEnumerateFunctions(functions: *mut CUfunction, count: c_uint, module: CUmodule);
    cuModuleGetGlobal_v2(
        address: *mut CUdeviceptr,
        bytes: *mut usize,
        module: CUmodule,
        name: *const c_char,
    );
    cuFuncGetName(name: *mut *const c_char, function: CUfunction);
    cuFuncGetAttribute(value: *mut c_int, attribute: CUfunction_attribute, function: CUfunction);
    cuFuncSetAttribute(function: CUfunction, attribute: CUfunction_attribute, value: c_int);
    cuFuncGetParamInfo(
        function: CUfunction,
        index: usize,
        offset: *mut usize,
        size: *mut usize,
    );
    cuLaunchKernel(
        function: CUfunction,
        grid_x: c_uint,
        grid_y: c_uint,
        grid_z: c_uint,
        block_x: c_uint,
        block_y: c_uint,
        block_z: c_uint,
        shared: c_uint,
        stream: CUstream,
        parameters: *mut *mut c_void,
        extra: *mut *mut c_void,
    );
}
