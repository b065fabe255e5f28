//! Programs that make and end contexts.

use std::ffi::{c_char, c_int, c_void};
use std::ptr;

use super::kernels::{ADD, Pointers};
use super::library::{in_context, open};

type Create = unsafe extern "C" fn(Pointers, u32, c_int) -> u32;

fn free(cuda: &libloading::Library) -> usize {
    let mut free = 0;
    let info = cu!(cuda, cuMemGetInfo_v2(*mut usize, *mut usize));
    assert_eq!(call!(info, &mut free, ptr::null_mut()), 0);
    free
}

pub(crate) fn ends() {
    let outer = in_context();
    let cuda = &outer;
    let before = free(cuda);
    let create: Create = cu!(cuda, cuCtxCreate_v2(Pointers, u32, c_int));
    let mut context = ptr::null_mut();
    assert_eq!(call!(create, &mut context, 0x80, 0), 1, "no such flag");
    assert_eq!(call!(create, &mut context, 3, 0), 1, "two ways to wait");
    assert_eq!(call!(create, &mut context, 4, 0), 0);
    let (mut device, mut host) = (0_u64, ptr::null_mut::<u8>());
    let (mut stream, mut event) = (ptr::null_mut(), ptr::null_mut());
    let (mut module, mut library) = (ptr::null_mut(), ptr::null_mut());
    let alloc = cu!(cuda, cuMemAlloc_v2(*mut u64, usize));
    assert_eq!(call!(alloc, &mut device, 1 << 20), 0);
    let pin = cu!(cuda, cuMemHostAlloc(*mut *mut u8, usize, u32));
    assert_eq!(call!(pin, &mut host, 4096, 1), 0);
    assert_eq!(call!(pin, &mut host, 4096, 8), 1, "no such flag");
    let make = cu!(cuda, cuStreamCreate(Pointers, u32));
    assert_eq!(call!(make, &mut stream, 1), 0);
    let make = cu!(cuda, cuEventCreate(Pointers, u32));
    assert_eq!(call!(make, &mut event, 0), 0);
    let load = cu!(cuda, cuModuleLoadData(Pointers, *const c_char));
    assert_eq!(call!(load, &mut module, ADD.as_ptr()), 0);
    let load = cu!(
        cuda,
        cuLibraryLoadData(
            Pointers,
            *const c_char,
            *const u32,
            Pointers,
            u32,
            *const u32,
            Pointers,
            u32,
        )
    );
    let null = ptr::null_mut();
    assert_eq!(
        call!(
            load,
            &mut library,
            ADD.as_ptr(),
            ptr::null(),
            null,
            0,
            ptr::null(),
            null,
            0
        ),
        0
    );
    assert!(free(cuda) < before);
    assert_eq!(call!(cu!(cuda, cuCtxDestroy_v2(*mut c_void)), context), 0);
    // The one before is current again, and all of the other's is gone.
    assert_eq!(free(cuda), before);
    assert_eq!(call!(cu!(cuda, cuMemFree_v2(u64)), device), 1);
    assert_eq!(call!(cu!(cuda, cuMemFreeHost(*mut u8)), host), 1);
    assert_eq!(
        call!(cu!(cuda, cuStreamSynchronize(*mut c_void)), stream),
        400
    );
    assert_eq!(call!(cu!(cuda, cuEventQuery(*mut c_void)), event), 400);
    let mut found = ptr::null_mut();
    let find = cu!(
        cuda,
        cuModuleGetFunction(Pointers, *mut c_void, *const c_char)
    );
    assert_eq!(call!(find, &mut found, module, c"add".as_ptr()), 400);
    // But not what belongs to none.
    let find = cu!(
        cuda,
        cuLibraryGetKernel(Pointers, *mut c_void, *const c_char)
    );
    assert_eq!(call!(find, &mut found, library, c"add".as_ptr()), 0);
    assert_eq!(call!(cu!(cuda, cuLibraryUnload(*mut c_void)), library), 0);
    assert_eq!(call!(cu!(cuda, cuCtxDestroy_v2(*mut c_void)), context), 201);
    assert_eq!(call!(cu!(cuda, cuCtxSetCurrent(*mut c_void)), context), 201);
    primary(cuda);
}

/// The primary context ends with its last use, or when it is reset.
fn primary(cuda: &libloading::Library) {
    let retain = cu!(cuda, cuDevicePrimaryCtxRetain(Pointers, c_int));
    let release = cu!(cuda, cuDevicePrimaryCtxRelease_v2(c_int));
    let reset = cu!(cuda, cuDevicePrimaryCtxReset_v2(c_int));
    let set = cu!(cuda, cuCtxSetCurrent(*mut c_void));
    let alloc = cu!(cuda, cuMemAlloc_v2(*mut u64, usize));
    let before = free(cuda);
    assert_eq!(call!(release, 0), 201, "nobody has it");
    let (mut context, mut device) = (ptr::null_mut(), 0);
    for _ in 0..2 {
        assert_eq!(call!(retain, &mut context, 0), 0);
    }
    assert_eq!(call!(set, context), 0);
    assert_eq!(call!(alloc, &mut device, 4096), 0);
    assert_eq!(call!(release, 0), 0);
    assert!(free(cuda) < before);
    assert_eq!(call!(reset, 0), 0);
    assert_eq!(free(cuda), before);
    assert_eq!(call!(alloc, &mut device, 4096), 0);
    assert_eq!(call!(release, 0), 0);
    assert_eq!(call!(alloc, &mut device, 4096), 709, "it is destroyed");
    let mut again = ptr::null_mut();
    assert_eq!(call!(retain, &mut again, 0), 0);
    assert_eq!(again, context);
    assert_eq!(free(cuda), before);
}

pub(crate) fn limits() {
    let cuda = open("libcuda.so.1");
    let get = cu!(cuda, cuCtxGetLimit(*mut usize, u32));
    let set = cu!(cuda, cuCtxSetLimit(u32, usize));
    let mut value = 0;
    assert_eq!(call!(get, &mut value, 0), 3);
    assert_eq!(call!(cu!(cuda, cuInit(u32)), 0), 0);
    assert_eq!(call!(get, &mut value, 0), 201);
    assert_eq!(call!(set, 0, 1), 201);
    let mut contexts = [ptr::null_mut(); 2];
    let create: Create = cu!(cuda, cuCtxCreate_v2(Pointers, u32, c_int));
    for context in &mut contexts {
        assert_eq!(call!(create, context, 0, 0), 0);
    }
    // A stack, the buffer of printf, the heap.
    for (limit, first) in [(0, 1 << 10), (1, 1 << 20), (2, 8 << 20)] {
        assert_eq!(call!(get, &mut value, limit), 0);
        assert_eq!(value, first);
        assert_eq!(call!(set, limit, first + 16), 0);
        assert_eq!(call!(get, &mut value, limit), 0);
        assert_eq!(value, first + 16);
    }
    for limit in 3..=6 {
        assert_eq!(call!(get, &mut value, limit), 215);
        assert_eq!(call!(set, limit, 1), 215);
    }
    assert_eq!(call!(get, &mut value, 7), 1);
    assert_eq!(call!(set, 7, 1), 1);
    assert_eq!(call!(get, ptr::null_mut(), 0), 1);
    // Another context has its own.
    assert_eq!(
        call!(cu!(cuda, cuCtxSetCurrent(*mut c_void)), contexts[0]),
        0
    );
    assert_eq!(call!(get, &mut value, 0), 0);
    assert_eq!(value, 1 << 10);
}

pub(crate) fn peers() {
    let cuda = in_context();
    let mut can = 7;
    let ask = cu!(cuda, cuDeviceCanAccessPeer(*mut c_int, c_int, c_int));
    assert_eq!(call!(ask, &mut can, 0, 0), 0);
    assert_eq!(can, 0);
    assert_eq!(call!(ask, &mut can, 0, 1), 101);
    assert_eq!(call!(ask, &mut can, -1, 0), 101);
    let current = {
        let mut current = ptr::null_mut();
        assert_eq!(call!(cu!(cuda, cuCtxGetCurrent(Pointers)), &mut current), 0);
        current
    };
    let mut other = ptr::null_mut();
    let create: Create = cu!(cuda, cuCtxCreate_v2(Pointers, u32, c_int));
    assert_eq!(call!(create, &mut other, 0, 0), 0);
    let enable = cu!(cuda, cuCtxEnablePeerAccess(*mut c_void, u32));
    let disable = cu!(cuda, cuCtxDisablePeerAccess(*mut c_void));
    assert_eq!(call!(enable, current, 1), 1);
    assert_eq!(call!(enable, current, 0), 217);
    assert_eq!(call!(enable, other, 0), 201, "itself");
    assert_eq!(call!(enable, ptr::null_mut(), 0), 201);
    assert_eq!(call!(disable, current), 705);
    assert_eq!(call!(disable, ptr::null_mut()), 201);
}
