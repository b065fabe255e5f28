//! The library, as a program has it: a session of its own for each copy.

use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::ptr;

use libloading::Library;

const PTX: &CStr = c".version 7.0\n.target sm_70\n.address_size 64\n\
    .visible .entry add(.param .u64 a, .param .u64 b, .param .u64 c, .param .u32 n) { ret; }\n";
/// The bytes of its parameters.
pub(crate) const PARAMETERS: usize = 28;
/// Bytes of device memory.
pub(crate) const BYTES: usize = 64;

type Handle = *mut c_void;

/// Functions of the driver API that must succeed.
macro_rules! functions {
    ($($name:ident($($argument:ident: $type:ty),*);)*) => {
        #[allow(non_snake_case)]
        struct Functions {
            $($name: unsafe extern "C" fn($($type),*) -> u32,)*
        }

        #[allow(non_snake_case, clippy::too_many_arguments)]
        impl Functions {
            fn of(library: &Library) -> Self {
                Self {
                    $(
                        // SAFETY: the type is the driver API's.
                        $name: *unsafe { library.get(stringify!($name).as_bytes()) }.unwrap(),
                    )*
                }
            }

            $(
                #[inline(always)]
                fn $name(&self, $($argument: $type),*) {
                    // SAFETY: the caller passes what the driver API asks for.
                    let status = unsafe { (self.$name)($($argument),*) };
                    assert_eq!(status, 0, stringify!($name));
                }
            )*
        }
    };
}

functions! {
    cuInit(flags: u32);
    cuCtxCreate_v2(context: *mut Handle, flags: u32, device: c_int);
    cuModuleLoadData(module: *mut Handle, image: *const c_char);
    cuModuleGetFunction(function: *mut Handle, module: Handle, name: *const c_char);
    cuMemAlloc_v2(pointer: *mut u64, size: usize);
    cuLaunchKernel(
        function: Handle,
        grid_x: u32, grid_y: u32, grid_z: u32, block_x: u32, block_y: u32, block_z: u32,
        shared: u32, stream: Handle, parameters: *mut Handle, extra: *mut Handle
    );
    cuMemsetD32Async(to: u64, value: u32, count: usize, stream: Handle);
    cuStreamSynchronize(stream: Handle);
    cuMemcpyDtoH_v2(to: *mut u8, from: u64, size: usize);
}

/// The library of that name or path.
pub(crate) fn library(name: impl AsRef<OsStr>) -> Library {
    // SAFETY: the library is the program's driver.
    unsafe { Library::new(name.as_ref()) }.unwrap()
}

/// A session with a kernel and some memory.
pub(crate) struct Cuda {
    functions: Functions,
    add: Handle,
    pub(crate) buffer: u64,
    _library: Library,
}

impl Cuda {
    /// Opens a session by a library.
    pub(crate) fn open(library: Library) -> Self {
        let functions = Functions::of(&library);
        let (mut context, mut module, mut add) =
            (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
        let mut buffer = 0;
        functions.cuInit(0);
        functions.cuCtxCreate_v2(&raw mut context, 0, 0);
        functions.cuModuleLoadData(&raw mut module, PTX.as_ptr());
        functions.cuModuleGetFunction(&raw mut add, module, c"add".as_ptr());
        functions.cuMemAlloc_v2(&raw mut buffer, BYTES);
        let cuda = Self {
            functions,
            add,
            buffer,
            _library: library,
        };
        cuda.launcher()();
        cuda.synchronize();
        cuda
    }

    /// Launches the kernel on each call.
    pub(crate) fn launcher(&self) -> impl Fn() {
        let mut pointers = Box::new([self.buffer; 3]);
        let mut count = Box::new(1_u32);
        let [a, b, c] = pointers.each_mut().map(|it| ptr::from_mut(it).cast());
        let list = Box::new([a, b, c, ptr::from_mut(&mut *count).cast::<c_void>()]);
        let (functions, add, stream) = (&self.functions, self.add, ptr::null_mut());
        move || {
            let (_kept, list) = ((&pointers, &count), list.as_ptr().cast_mut());
            functions.cuLaunchKernel(add, 1, 1, 1, 32, 1, 1, 0, stream, list, ptr::null_mut());
        }
    }

    pub(crate) fn fill(&self) {
        self.functions
            .cuMemsetD32Async(self.buffer, 7, BYTES / 4, ptr::null_mut());
    }

    pub(crate) fn synchronize(&self) {
        self.functions.cuStreamSynchronize(ptr::null_mut());
    }

    pub(crate) fn download(&self, into: &mut [u8; BYTES]) {
        let into = into.as_mut_ptr();
        self.functions.cuMemcpyDtoH_v2(into, self.buffer, BYTES);
    }
}
