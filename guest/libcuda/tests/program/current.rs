//! Programs that ask which context is current, and what it and the device are.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

use cudarc::driver::sys::{CUmemLocation, CUmemLocationType};

use super::kernels::{Adder, Pointers};
use super::library::open;

fn current(cuda: &libloading::Library) -> *mut c_void {
    let mut current = ptr::null_mut();
    assert_eq!(call!(cu!(cuda, cuCtxGetCurrent(Pointers)), &mut current), 0);
    current
}

fn create(cuda: &libloading::Library) -> *mut c_void {
    let mut context = ptr::null_mut();
    let create = cu!(cuda, cuCtxCreate_v2(Pointers, u32, c_int));
    assert_eq!(call!(create, &mut context, 0, 0), 0);
    context
}

/// A context that is made lies on top of the current one; each is popped in its turn.
pub(crate) fn stack() {
    let cuda = open("libcuda.so.1");
    let pop = cu!(cuda, cuCtxPopCurrent_v2(Pointers));
    let push = cu!(cuda, cuCtxPushCurrent_v2(*mut c_void));
    let device = cu!(cuda, cuCtxGetDevice(*mut c_int));
    let mut popped = ptr::null_mut();
    assert_eq!(call!(pop, &mut popped), 3, "not initialized");
    assert_eq!(call!(cu!(cuda, cuInit(u32)), 0), 0);
    assert_eq!(call!(pop, &mut popped), 201, "there is none");
    assert_eq!(call!(device, &mut 9), 201);
    let (first, second) = (create(&cuda), create(&cuda));
    assert_eq!(current(&cuda), second);
    assert_eq!(call!(pop, &mut popped), 0);
    assert_eq!([popped, current(&cuda)], [second, first]);
    assert_eq!(call!(push, second), 0);
    // Once more, it lies there twice.
    assert_eq!(call!(push, second), 0);
    assert_eq!(call!(pop, ptr::null_mut()), 0, "nobody asks which");
    assert_eq!(current(&cuda), second);
    assert_eq!(call!(push, ptr::without_provenance_mut(0x5555)), 201);
    assert_eq!(call!(push, ptr::null_mut()), 201);
    let mut number = 9;
    assert_eq!(call!(device, &mut number), 0);
    assert_eq!(number, 0);
    let of = cu!(cuda, cuCtxGetDevice_v2(*mut c_int, *mut c_void));
    for (context, result) in [
        (first, 0),
        (ptr::null_mut(), 0),
        (ptr::without_provenance_mut(0x5555), 201),
    ] {
        assert_eq!(call!(of, &mut number, context), result);
    }
    assert_eq!(call!(of, ptr::null_mut(), first), 1);
}

/// `cuCtxAttach` is a use of the current context, which ends with the last.
pub(crate) fn uses() {
    let cuda = open("libcuda.so.1");
    let attach = cu!(cuda, cuCtxAttach(Pointers, u32));
    let detach = cu!(cuda, cuCtxDetach(*mut c_void));
    assert_eq!(call!(cu!(cuda, cuInit(u32)), 0), 0);
    let mut context = ptr::null_mut();
    assert_eq!(call!(attach, &mut context, 0), 201, "there is none");
    let (outer, inner) = (create(&cuda), create(&cuda));
    assert_eq!(call!(attach, &mut context, 1), 1, "there are no flags");
    assert_eq!(call!(attach, &mut context, 0), 0);
    assert_eq!(context, inner);
    assert_eq!(call!(detach, outer), 201, "it is not current");
    assert_eq!(call!(detach, inner), 0);
    let mut pointer = 0;
    let alloc = cu!(cuda, cuMemAlloc_v2(*mut u64, usize));
    assert_eq!(call!(alloc, &mut pointer, 4096), 0);
    assert_eq!(current(&cuda), inner);
    // The last use is its end, with all that is in it.
    assert_eq!(call!(detach, inner), 0);
    assert_eq!(current(&cuda), outer);
    assert_eq!(call!(cu!(cuda, cuMemFree_v2(u64)), pointer), 1);
    assert_eq!(call!(detach, inner), 201);
}

/// What contexts, their primary one, functions and the device are asked for.
pub(crate) fn says() {
    let adder = Adder::new();
    let cuda = &adder.cuda;
    let null = ptr::null_mut::<c_void>();
    let stray: *mut c_void = ptr::without_provenance_mut(0x5555);
    let (mut context, context_now) = (null, current(cuda));
    // Contexts of fewer multiprocessors there are none, and parameters are for those.
    let third = cu!(
        cuda,
        cuCtxCreate_v3(Pointers, *mut c_void, c_int, u32, c_int)
    );
    let mut affinity = [0_u32; 2];
    let affinity: *mut c_void = affinity.as_mut_ptr().cast();
    assert_eq!(call!(third, &mut context, affinity, 1, 0, 0), 224);
    assert_eq!(call!(third, &mut context, null, 0, 0, 0), 0);
    let fourth = cu!(cuda, cuCtxCreate_v4(Pointers, *mut c_void, u32, c_int));
    assert_eq!(call!(fourth, &mut context, affinity, 0, 0), 801);
    assert_eq!(call!(fourth, &mut context, null, 0, 1), 101);
    assert_eq!(call!(fourth, &mut context, null, 0, 0), 0);
    let version = cu!(cuda, cuCtxGetApiVersion(*mut c_void, *mut u32));
    let mut number = 0;
    assert_eq!(call!(version, context, &mut number), 0);
    assert_eq!(call!(version, null, &mut number), 0);
    assert_eq!(number, 3020);
    assert_eq!(call!(version, stray, &mut number), 201);
    let set = cu!(cuda, cuCtxSetCurrent(*mut c_void));
    assert_eq!(call!(set, context_now), 0);
    let asked = cu!(cuda, cuCtxGetExecAffinity(*mut c_void, u32));
    assert_eq!(call!(asked, affinity, 0), 224);
    let supports = cu!(cuda, cuDeviceGetExecAffinitySupport(*mut c_int, u32, c_int));
    let mut support = 9;
    assert_eq!(call!(supports, &mut support, 0, 0), 0);
    assert_eq!(support, 0);
    assert_eq!(call!(supports, &mut support, 7, 0), 1);
    assert_eq!(call!(supports, &mut support, 0, 1), 101);
    // There is one priority.
    let range = cu!(cuda, cuCtxGetStreamPriorityRange(*mut c_int, *mut c_int));
    let (mut least, mut greatest) = (9, 9);
    assert_eq!(call!(range, &mut least, &mut greatest), 0);
    assert_eq!((least, greatest), (0, 0));
    assert_eq!(call!(range, ptr::null_mut(), ptr::null_mut()), 0);
    let owner = cu!(cuda, cuStreamGetCtx_v2(*mut c_void, Pointers, Pointers));
    let (mut of, mut green) = (null, stray);
    assert_eq!(call!(owner, null, &mut of, &mut green), 0);
    assert_eq!([of, green], [context_now, null]);
    assert_eq!(call!(owner, stray, &mut of, &mut green), 400);
    // Banks of four bytes, unless somebody says otherwise: a hint.
    let banks = cu!(cuda, cuCtxGetSharedMemConfig(*mut u32));
    let set_banks = cu!(cuda, cuCtxSetSharedMemConfig(u32));
    let mut config = 9;
    assert_eq!(call!(banks, &mut config), 0);
    assert_eq!(config, 1);
    assert_eq!(call!(set_banks, 2), 0);
    assert_eq!(call!(banks, &mut config), 0);
    assert_eq!(config, 2);
    assert_eq!(call!(set_banks, 3), 1);
    let of_function = cu!(cuda, cuFuncSetSharedMemConfig(*mut c_void, u32));
    assert_eq!(call!(of_function, adder.function, 2), 0);
    assert_eq!(call!(of_function, adder.function, 3), 1);
    assert_eq!(call!(of_function, stray, 2), 400);
    let of_kernel = cu!(cuda, cuKernelSetCacheConfig(*mut c_void, u32, c_int));
    assert_eq!(call!(of_kernel, adder.function, 2, 0), 0);
    assert_eq!(call!(of_kernel, adder.function, 4, 0), 1);
    assert_eq!(call!(of_kernel, adder.function, 2, 1), 101);
    // The parameters of a kernel: two addresses and a count.
    let count = cu!(cuda, cuKernelGetParamCount(*mut c_void, *mut usize));
    let mut parameters = 0;
    assert_eq!(call!(count, adder.function, &mut parameters), 0);
    assert_eq!(parameters, 3);
    let about = cu!(
        cuda,
        cuFuncGetParamInfo(*mut c_void, usize, *mut usize, *mut usize)
    );
    for (index, expected) in [(0, (0, 8)), (1, (8, 8)), (2, (16, 4))] {
        let (mut offset, mut size) = (9, 9);
        assert_eq!(
            call!(about, adder.function, index, &mut offset, &mut size),
            0
        );
        assert_eq!((offset, size), expected);
        let none = ptr::null_mut();
        assert_eq!(call!(about, adder.function, index, &mut offset, none), 0);
    }
    let mut offset = 9;
    let none = ptr::null_mut();
    assert_eq!(call!(about, adder.function, 3, &mut offset, none), 1);
    assert_eq!(call!(about, stray, 0, &mut offset, none), 400);
    device(cuda);
    ranges(cuda, adder.into);
}

/// What the device and its primary context are.
fn device(cuda: &libloading::Library) {
    let capability = cu!(
        cuda,
        cuDeviceComputeCapability(*mut c_int, *mut c_int, c_int)
    );
    let (mut major, mut minor) = (9, 9);
    assert_eq!(call!(capability, &mut major, &mut minor, 0), 0);
    assert_eq!((major, minor), (7, 0));
    assert_eq!(call!(capability, &mut major, &mut minor, 1), 101);
    let get = cu!(cuda, cuDeviceGet(*mut c_int, c_int));
    let mut number = 9;
    assert_eq!(call!(get, &mut number, 0), 0);
    assert_eq!(number, 0);
    assert_eq!(call!(get, &mut number, 1), 101);
    let name = cu!(cuda, cuDeviceGetName(*mut c_char, c_int, c_int));
    let mut text = [1; 64];
    assert_eq!(call!(name, text.as_mut_ptr(), 64, 0), 0);
    // SAFETY: the library wrote text that ends with 0.
    let text = unsafe { CStr::from_ptr(text.as_ptr()) };
    assert_eq!(text, c"vgpu CPU engine");
    assert_eq!(call!(name, ptr::null_mut(), 64, 0), 1);
    assert_eq!(call!(name, [0; 4].as_mut_ptr(), 4, 1), 101);
    let (mut one, mut other) = ([0_u8; 16], [1_u8; 16]);
    let uuid = cu!(cuda, cuDeviceGetUuid(*mut [u8; 16], c_int));
    let uuid_2 = cu!(cuda, cuDeviceGetUuid_v2(*mut [u8; 16], c_int));
    assert_eq!(call!(uuid, &mut one, 0), 0);
    assert_eq!(call!(uuid_2, &mut other, 0), 0);
    assert!(one == other && one != [0; 16]);
    assert_eq!(call!(uuid_2, &mut other, 1), 101);
    let memory = cu!(cuda, cuDeviceTotalMem_v2(*mut usize, c_int));
    let info = cu!(cuda, cuMemGetInfo_v2(*mut usize, *mut usize));
    let (mut bytes, mut free, mut total) = (0, 0, 0);
    assert_eq!(call!(memory, &mut bytes, 0), 0);
    assert_eq!(call!(info, &mut free, &mut total), 0);
    assert_eq!(bytes, total);
    assert_eq!(call!(memory, &mut bytes, -1), 101);
    let set = cu!(cuda, cuDevicePrimaryCtxSetFlags_v2(c_int, u32));
    let state = cu!(
        cuda,
        cuDevicePrimaryCtxGetState(c_int, *mut u32, *mut c_int)
    );
    let (mut flags, mut active) = (9, 9);
    assert_eq!(call!(state, 0, &mut flags, &mut active), 0);
    assert_eq!((flags, active), (0, 0));
    assert_eq!(call!(set, 0, 4), 0);
    assert_eq!(call!(set, 0, 3), 1, "two ways to wait");
    assert_eq!(call!(set, 1, 4), 101);
    let mut primary = ptr::null_mut();
    let retain = cu!(cuda, cuDevicePrimaryCtxRetain(Pointers, c_int));
    assert_eq!(call!(retain, &mut primary, 0), 0);
    assert_eq!(call!(state, 0, &mut flags, &mut active), 0);
    assert_eq!((flags, active), (4, 1));
    assert_eq!(call!(state, 1, &mut flags, &mut active), 101);
    // Graphs have no memory: its high marks may be set to 0, as CUDA takes nothing else.
    let mark = cu!(cuda, cuDeviceSetGraphMemAttribute(c_int, u32, *mut c_void));
    for (attribute, value, result) in [(1, 0_u64, 0), (3, 0, 0), (1, 7, 1), (0, 0, 1), (9, 0, 1)] {
        let mut value = value;
        assert_eq!(call!(mark, 0, attribute, (&raw mut value).cast()), result);
    }
}

/// Memory that programs and devices share, or other devices reach: none is of that kind.
fn ranges(cuda: &libloading::Library, pointer: u64) {
    let mut data = [0_u32; 4];
    let into: *mut c_void = data.as_mut_ptr().cast();
    let one = cu!(
        cuda,
        cuMemRangeGetAttribute(*mut c_void, usize, u32, u64, usize)
    );
    assert_eq!(call!(one, into, 4, 1, pointer, 64), 1);
    let many = cu!(
        cuda,
        cuMemRangeGetAttributes(Pointers, *mut usize, *mut u32, usize, u64, usize)
    );
    let (mut list, mut size, mut attribute) = ([into], 4, 1);
    assert_eq!(
        call!(
            many,
            list.as_mut_ptr(),
            &mut size,
            &mut attribute,
            1,
            pointer,
            64
        ),
        1
    );
    let handle = cu!(
        cuda,
        cuMemGetHandleForAddressRange(*mut c_void, u64, usize, u32, u64)
    );
    assert_eq!(call!(handle, into, pointer, 64, 1, 0), 801);
    assert_eq!(call!(handle, into, 0x5555, 64, 1, 0), 1);
    let here = CUmemLocation {
        type_: CUmemLocationType::CU_MEM_LOCATION_TYPE_DEVICE,
        id: 0,
    };
    let advise = cu!(cuda, cuMemAdvise_v2(u64, usize, u32, CUmemLocation));
    assert_eq!(call!(advise, pointer, 64, 1, here), 1);
    let prefetch = cu!(
        cuda,
        cuMemPrefetchAsync_v2(u64, usize, CUmemLocation, u32, *mut c_void)
    );
    let null = ptr::null_mut();
    assert_eq!(call!(prefetch, pointer, 64, here, 0, null), 1);
    let stray = ptr::without_provenance_mut(0x5555);
    assert_eq!(call!(prefetch, pointer, 64, here, 0, stray), 400);
    let unified = cu!(
        cuda,
        cuLibraryGetUnifiedFunction(Pointers, *mut c_void, *const c_char)
    );
    let mut found = ptr::null_mut();
    let stray = ptr::without_provenance_mut(0x5555);
    assert_eq!(call!(unified, &mut found, stray, c"add".as_ptr()), 400);
}

/// The block size that fits best, where flags are given too.
pub(crate) fn blocks() {
    let adder = Adder::new();
    let cuda = &adder.cuda;
    type Shared = Option<unsafe extern "C" fn(c_int) -> usize>;
    let best = cu!(
        cuda,
        cuOccupancyMaxPotentialBlockSizeWithFlags(
            *mut c_int,
            *mut c_int,
            *mut c_void,
            Shared,
            usize,
            c_int,
            u32,
        )
    );
    let (mut grid, mut block) = (0, 0);
    for (limit, expected) in [(0, 1024), (256, 256), (100, 64)] {
        let of = adder.function;
        assert_eq!(call!(best, &mut grid, &mut block, of, None, 0, limit, 1), 0);
        assert_eq!(block, expected);
    }
    let of = adder.function;
    assert_eq!(call!(best, &mut grid, &mut block, of, None, 0, 0, 2), 1);
    assert_eq!(call!(best, &mut grid, &mut block, of, None, 0, -1, 0), 1);
}
