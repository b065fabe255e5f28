//! Calls of the driver as functions of Rust types: the only place that knows
//! its pointers.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_int, c_uint, c_void};
use std::ptr;

use cudarc::driver::sys::{
    self, CUcontext, CUdevice, CUdevice_attribute, CUfunction, CUfunction_attribute, CUjit_option,
    CUmemAccess_flags, CUmemAccessDesc, CUmemAllocationGranularity_flags,
    CUmemAllocationHandleType, CUmemAllocationProp, CUmemAllocationType,
    CUmemGenericAllocationHandle, CUmemLocation, CUmemLocationType, CUmodule,
};
use vgpu_engine::{DevicePtr, Error, ErrorKind, ParameterInfo, Pattern, Result};

use crate::answer::{SUCCESS, check, error};
use crate::driver::Driver;
use crate::heap::{Mapper, Span};
use crate::image::Image;

/// The most kernels of a module, and the most parameters of a kernel, that are
/// believed.
const MOST: u32 = 1 << 16;
/// Bytes of the compiler's words about an image that it refuses.
const LOG: usize = 4096;

/// A device's primary context.
#[derive(Debug)]
pub(crate) struct Context {
    driver: Driver,
    device: CUdevice,
    context: CUcontext,
}

// SAFETY: the driver's handles are valid in every thread of the process; each
// call makes the context current in its own.
unsafe impl Send for Context {}

/// A module that is loaded.
#[derive(Debug)]
pub(crate) struct Module(CUmodule);

// SAFETY: as for `Context`.
unsafe impl Send for Module {}

/// A kernel of a module that is loaded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Function(CUfunction);

// SAFETY: as for `Context`.
unsafe impl Send for Function {}

/// Physical memory, mapped or not.
#[derive(Debug)]
pub(crate) struct Physical {
    size: usize,
    handle: CUmemGenericAllocationHandle,
}

impl Physical {
    pub(crate) const fn size(&self) -> u64 {
        self.size as u64
    }
}

/// Physical memory at addresses of the device.
#[derive(Debug)]
pub(crate) struct Mapping {
    address: DevicePtr,
    memory: Physical,
}

/// A grid of blocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) grid: [u32; 3],
    pub(crate) block: [u32; 3],
    pub(crate) shared: u32,
}

/// Calls a function of the driver, and checks what it gives. An argument that is
/// a pointer points to a local variable of its type, or is as the comment says.
macro_rules! call {
    ($driver:expr, $name:ident($($argument:expr),* $(,)?)) => {{
        let function = $driver.$name;
        // SAFETY: the function's signature is cudarc's; its pointers are valid
        // for the call, as the rule of this macro says.
        check(stringify!($name), unsafe { function($($argument),*) })
    }};
}

fn size(bytes: u64) -> Result<usize> {
    usize::try_from(bytes).map_err(|_| crate::answer::invalid("more bytes than addresses"))
}

impl Context {
    /// The context of a device; the first call of all.
    pub(crate) fn new(driver: Driver, ordinal: i32) -> Result<Self> {
        call!(driver, cuInit(0))?;
        let mut device = 0;
        call!(driver, cuDeviceGet(&raw mut device, ordinal))?;
        let mut context = ptr::null_mut();
        call!(driver, cuDevicePrimaryCtxRetain(&raw mut context, device))?;
        Ok(Self {
            driver,
            device,
            context,
        })
    }

    /// The functions, with the context current in this thread.
    fn enter(&self) -> Result<&Driver> {
        call!(self.driver, cuCtxSetCurrent(self.context))?;
        Ok(&self.driver)
    }

    /// CUDA's version that the driver has, as 1000 * major + 10 * minor.
    pub(crate) fn version(&self) -> Result<i32> {
        let mut version = 0;
        call!(self.driver, cuDriverGetVersion(&raw mut version))?;
        Ok(version)
    }

    pub(crate) fn name(&self) -> Result<String> {
        let mut name = [0_u8; 256];
        let length = c_int::try_from(name.len()).unwrap_or(c_int::MAX);
        let start = name.as_mut_ptr().cast();
        call!(self.driver, cuDeviceGetName(start, length, self.device))?;
        let name = CStr::from_bytes_until_nul(&name).unwrap_or_default();
        Ok(name.to_string_lossy().into_owned())
    }

    pub(crate) fn attribute(&self, attribute: CUdevice_attribute) -> Result<u32> {
        let mut value = 0;
        call!(
            self.driver,
            cuDeviceGetAttribute(&raw mut value, attribute, self.device)
        )?;
        Ok(u32::try_from(value).unwrap_or(0))
    }

    pub(crate) fn total_memory(&self) -> Result<u64> {
        let mut bytes = 0;
        call!(
            self.driver,
            cuDeviceTotalMem_v2(&raw mut bytes, self.device)
        )?;
        Ok(bytes as u64)
    }

    /// Free bytes of the device, and all.
    pub(crate) fn memory(&self) -> Result<(u64, u64)> {
        let (mut free, mut total) = (0, 0);
        call!(
            self.enter()?,
            cuMemGetInfo_v2(&raw mut free, &raw mut total)
        )?;
        Ok((free as u64, total as u64))
    }

    /// Waits for all that was begun.
    pub(crate) fn synchronize(&self) -> Result<()> {
        call!(self.enter()?, cuCtxSynchronize())
    }

    fn location(&self) -> CUmemLocation {
        CUmemLocation {
            type_: CUmemLocationType::CU_MEM_LOCATION_TYPE_DEVICE,
            id: self.device,
        }
    }

    fn properties(&self) -> CUmemAllocationProp {
        CUmemAllocationProp {
            type_: CUmemAllocationType::CU_MEM_ALLOCATION_TYPE_PINNED,
            requestedHandleTypes: CUmemAllocationHandleType::CU_MEM_HANDLE_TYPE_NONE,
            location: self.location(),
            win32HandleMetaData: ptr::null_mut(),
            allocFlags: sys::CUmemAllocationProp_st__bindgen_ty_1 {
                compressionType: 0,
                gpuDirectRDMACapable: 0,
                usage: 0,
                reserved: [0; 4],
            },
        }
    }

    /// What sizes and addresses of mappings are a multiple of.
    pub(crate) fn granularity(&self) -> Result<u64> {
        let properties = self.properties();
        let option = CUmemAllocationGranularity_flags::CU_MEM_ALLOC_GRANULARITY_MINIMUM;
        let mut granularity = 0;
        let driver = self.enter()?;
        call!(
            driver,
            cuMemGetAllocationGranularity(&raw mut granularity, &raw const properties, option)
        )?;
        Ok(granularity as u64)
    }

    /// Addresses without memory; at `hint` if the driver can.
    pub(crate) fn reserve(&self, bytes: u64, alignment: u64, hint: u64) -> Result<DevicePtr> {
        let (bytes, alignment) = (size(bytes)?, size(alignment)?);
        let mut address = 0;
        let driver = self.enter()?;
        call!(
            driver,
            cuMemAddressReserve(&raw mut address, bytes, alignment, hint, 0)
        )?;
        Ok(address)
    }

    /// Gives addresses back that nothing is mapped at.
    pub(crate) fn release(&self, address: DevicePtr, bytes: u64) -> Result<()> {
        call!(self.enter()?, cuMemAddressFree(address, size(bytes)?))
    }

    /// Physical memory without addresses.
    pub(crate) fn create(&self, bytes: u64) -> Result<Physical> {
        let size = size(bytes)?;
        let properties = self.properties();
        let driver = self.enter()?;
        let mut handle = 0;
        call!(
            driver,
            cuMemCreate(&raw mut handle, size, &raw const properties, 0)
        )?;
        Ok(Physical { size, handle })
    }

    /// Ends physical memory, once it is mapped nowhere.
    pub(crate) fn destroy(&self, memory: &Physical) -> Result<()> {
        call!(self.enter()?, cuMemRelease(memory.handle))
    }

    /// Maps physical memory for kernels that read and write.
    pub(crate) fn place(&self, memory: &Physical, address: DevicePtr) -> Result<()> {
        let driver = self.enter()?;
        let &Physical { size, handle } = memory;
        call!(driver, cuMemMap(address, size, 0, handle, 0))?;
        let access = CUmemAccessDesc {
            location: self.location(),
            flags: CUmemAccess_flags::CU_MEM_ACCESS_FLAGS_PROT_READWRITE,
        };
        let allowed = call!(driver, cuMemSetAccess(address, size, &raw const access, 1));
        if allowed.is_err() {
            let _ = self.displace(memory, address);
        }
        allowed
    }

    /// Ends a mapping.
    pub(crate) fn displace(&self, memory: &Physical, address: DevicePtr) -> Result<()> {
        call!(self.enter()?, cuMemUnmap(address, memory.size))
    }

    /// Copies into the device.
    pub(crate) fn write(&self, to: Span, from: &[u8]) -> Result<()> {
        let from = from.get(..size(to.length())?).unwrap_or(from);
        // The bytes are valid for reads of their length; the span is memory of
        // the device, so that no byte of this process is written.
        call!(
            self.enter()?,
            cuMemcpyHtoD_v2(to.start(), from.as_ptr().cast(), from.len())
        )
    }

    /// Copies out of the device.
    pub(crate) fn read(&self, from: Span, to: &mut [u8]) -> Result<()> {
        let length = to.len().min(size(from.length())?);
        // The bytes are valid for writes of their length.
        call!(
            self.enter()?,
            cuMemcpyDtoH_v2(to.as_mut_ptr().cast(), from.start(), length)
        )
    }

    /// Begins to copy within the device; the spans must not overlap.
    pub(crate) fn copy(&self, to: Span, from: Span) -> Result<()> {
        let length = size(to.length().min(from.length()))?;
        call!(
            self.enter()?,
            cuMemcpyDtoD_v2(to.start(), from.start(), length)
        )
    }

    /// Begins to fill a span, whose start and length are multiples of the pattern's.
    pub(crate) fn fill(&self, to: Span, pattern: Pattern) -> Result<()> {
        let driver = self.enter()?;
        let count = size(to.length().checked_div(pattern.size()).unwrap_or(0))?;
        match pattern {
            Pattern::Byte(value) => call!(driver, cuMemsetD8_v2(to.start(), value, count)),
            Pattern::Half(value) => call!(driver, cuMemsetD16_v2(to.start(), value, count)),
            Pattern::Word(value) => call!(driver, cuMemsetD32_v2(to.start(), value, count)),
        }
    }

    /// Loads an image.
    pub(crate) fn load(&self, image: &Image<'_>) -> Result<Module> {
        let mut log = [0_u8; LOG];
        let mut options = [
            CUjit_option::CU_JIT_ERROR_LOG_BUFFER,
            CUjit_option::CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES,
        ];
        // An option's value stands in the pointer itself, where it is no pointer.
        let mut values: [*mut c_void; 2] =
            [log.as_mut_ptr().cast(), ptr::without_provenance_mut(LOG)];
        let mut module = ptr::null_mut();
        let load = self.enter()?.cuModuleLoadDataEx;
        // SAFETY: `Image` was checked to end where the driver stops to read; the
        // options are as many as said, and the log is as long as they say.
        let code = unsafe {
            load(
                &raw mut module,
                image.start().cast(),
                2,
                options.as_mut_ptr(),
                values.as_mut_ptr(),
            )
        };
        if code == SUCCESS {
            return Ok(Module(module));
        }
        let mut refused = error("cuModuleLoadDataEx", code);
        let said = CStr::from_bytes_until_nul(&log).unwrap_or_default();
        if !said.is_empty() {
            refused.text = format!("{}: {}", refused.text, said.to_string_lossy().trim());
        }
        Err(refused)
    }

    /// Unloads a module: no function of it may be used any more.
    pub(crate) fn unload(&self, module: &Module) -> Result<()> {
        call!(self.enter()?, cuModuleUnload(module.0))
    }

    /// The kernels of a module.
    pub(crate) fn functions(&self, module: &Module) -> Result<Vec<(String, Function)>> {
        let driver = self.enter()?;
        let mut count = 0;
        call!(driver, cuModuleGetFunctionCount(&raw mut count, module.0))?;
        if count > MOST {
            let text = format!("a module of {count} functions");
            return Err(Error::new(ErrorKind::InvalidImage, text));
        }
        let mut functions = vec![ptr::null_mut(); count as usize];
        // The list is valid for writes of so many handles.
        call!(
            driver,
            cuModuleEnumerateFunctions(functions.as_mut_ptr(), count, module.0)
        )?;
        let named = functions.into_iter().map(|function| {
            let mut name = ptr::null();
            call!(driver, cuFuncGetName(&raw mut name, function))?;
            if name.is_null() {
                return Err(Error::new(ErrorKind::Unknown, "a function without a name"));
            }
            // SAFETY: the driver gives text that ends with 0, and stays as long
            // as the module.
            let name = unsafe { CStr::from_ptr(name) };
            Ok((name.to_string_lossy().into_owned(), Function(function)))
        });
        named.collect()
    }

    /// Parameters in their order.
    pub(crate) fn parameters(&self, function: Function) -> Result<Vec<ParameterInfo>> {
        let get = self.enter()?.cuFuncGetParamInfo;
        let mut parameters = Vec::new();
        for index in 0..MOST as usize {
            let (mut offset, mut size) = (0, 0);
            // SAFETY: the handle is the driver's, the pointers are to variables.
            let code = unsafe { get(function.0, index, &raw mut offset, &raw mut size) };
            let past_the_last = code == ErrorKind::InvalidValue.code();
            if past_the_last {
                break;
            }
            check("cuFuncGetParamInfo", code)?;
            let number = |value| {
                u32::try_from(value)
                    .map_err(|_| Error::new(ErrorKind::InvalidImage, "parameters of 4 GiB"))
            };
            parameters.push(ParameterInfo {
                offset: number(offset)?,
                size: number(size)?,
            });
        }
        Ok(parameters)
    }

    pub(crate) fn function_attribute(
        &self,
        function: Function,
        attribute: CUfunction_attribute,
    ) -> Result<u32> {
        let mut value = 0;
        call!(
            self.enter()?,
            cuFuncGetAttribute(&raw mut value, attribute, function.0)
        )?;
        Ok(u32::try_from(value).unwrap_or(0))
    }

    /// Lets launches of a function add so much shared memory.
    pub(crate) fn allow_shared(&self, function: Function, bytes: u32) -> Result<()> {
        let attribute = CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
        let bytes = c_int::try_from(bytes).unwrap_or(c_int::MAX);
        call!(
            self.enter()?,
            cuFuncSetAttribute(function.0, attribute, bytes)
        )
    }

    /// Address and size of a module's variable.
    pub(crate) fn global(&self, module: &Module, name: &str) -> Result<(DevicePtr, u64)> {
        let name = CString::new(name);
        let name = name.map_err(|_| crate::answer::invalid("a name with a 0 byte"))?;
        let (mut address, mut bytes) = (0, 0);
        call!(
            self.enter()?,
            cuModuleGetGlobal_v2(&raw mut address, &raw mut bytes, module.0, name.as_ptr())
        )?;
        Ok((address, bytes as u64))
    }

    /// Begins to run a kernel, with a block of parameters of the length that
    /// the kernel has.
    pub(crate) fn launch(
        &self,
        function: Function,
        shape: Shape,
        parameters: &mut [u8],
    ) -> Result<()> {
        let mut length = parameters.len();
        let mut extra = [
            ptr::without_provenance_mut::<c_void>(
                sys::CU_LAUNCH_PARAM_BUFFER_POINTER_AS_INT as usize,
            ),
            parameters.as_mut_ptr().cast(),
            ptr::without_provenance_mut(sys::CU_LAUNCH_PARAM_BUFFER_SIZE_AS_INT as usize),
            (&raw mut length).cast(),
            ptr::without_provenance_mut(sys::CU_LAUNCH_PARAM_END_AS_INT as usize),
        ];
        // A kernel without parameters takes no list either.
        let extra = match length {
            0 => ptr::null_mut(),
            _ => extra.as_mut_ptr(),
        };
        let ([x, y, z], [width, height, depth]) = (shape.grid, shape.block);
        let shared: c_uint = shape.shared;
        // The list of options ends as the driver API states it, and the block
        // has the length that it says. What the kernel reaches is the device's
        // memory in this context; where the system maps the process's own
        // memory for kernels too, that is memory of the same program's worker.
        call!(
            self.enter()?,
            cuLaunchKernel(
                function.0,
                x,
                y,
                z,
                width,
                height,
                depth,
                shared,
                ptr::null_mut(),
                ptr::null_mut(),
                extra,
            )
        )
    }
}

impl Mapper for Context {
    type Mapping = Mapping;

    fn map(&self, address: DevicePtr, bytes: u64) -> Result<Mapping> {
        let memory = self.create(bytes)?;
        match self.place(&memory, address) {
            Ok(()) => Ok(Mapping { address, memory }),
            Err(error) => {
                let _ = self.destroy(&memory);
                Err(error)
            }
        }
    }

    fn unmap(&self, mapping: Mapping) -> Result<()> {
        let unmapped = self.displace(&mapping.memory, mapping.address);
        unmapped.and(self.destroy(&mapping.memory))
    }
}
