//! Programs that allocate from memory pools.

use std::ffi::{c_int, c_void};
use std::ptr;

use super::kernels::Pointers;
use super::library::in_context;

/// `CUmemPoolProps`: pinned memory, of device 0.
#[repr(C)]
struct Properties {
    kind: u32,
    handles: u32,
    location: u32,
    device: i32,
    security: usize,
    most: usize,
    reserved: [u8; 56],
}

const PROPERTIES: Properties = Properties {
    kind: 1,
    handles: 0,
    location: 1,
    device: 0,
    security: 0,
    most: 4096,
    reserved: [0; 56],
};

pub(crate) fn pools() {
    let cuda = in_context();
    let null = ptr::null_mut::<c_void>();
    let (mut first, mut current) = (null, null);
    let default = cu!(cuda, cuDeviceGetDefaultMemPool(Pointers, c_int));
    let get = cu!(cuda, cuDeviceGetMemPool(Pointers, c_int));
    let set = cu!(cuda, cuDeviceSetMemPool(c_int, *mut c_void));
    assert_eq!(call!(default, &mut first, 1), 101);
    assert_eq!(call!(default, &mut first, 0), 0);
    assert_eq!(call!(get, &mut current, 0), 0);
    assert_eq!(first, current);

    let look = cu!(cuda, cuMemPoolGetAttribute(*mut c_void, u32, *mut u64));
    let put = cu!(cuda, cuMemPoolSetAttribute(*mut c_void, u32, *mut u64));
    let value = |pool, attribute| {
        let mut value = 0;
        assert_eq!(call!(look, pool, attribute, &mut value), 0, "{attribute}");
        value
    };
    // Reuse is allowed, and nothing is kept; cudarc's and Torch's way of setting.
    assert_eq!([1, 2, 3, 4].map(|of| value(first, of)), [1, 1, 1, 0]);
    assert_eq!(call!(put, first, 4, &mut { u64::MAX }), 0);
    assert_eq!(value(first, 4), u64::MAX);
    assert_eq!(call!(put, first, 2, &mut 0), 0);
    assert_eq!(value(first, 2), 0);
    assert_eq!(call!(look, first, 9, &mut 0), 1);
    assert_eq!(call!(look, null, 4, &mut 0), 1);
    assert_eq!(call!(look, first, 4, ptr::null_mut()), 1);

    let alloc = cu!(cuda, cuMemAllocAsync(*mut u64, usize, *mut c_void));
    let free = cu!(cuda, cuMemFreeAsync(u64, *mut c_void));
    let mut pointers = [0; 2];
    for (pointer, size) in pointers.iter_mut().zip([1000, 500]) {
        assert_eq!(call!(alloc, pointer, size, null), 0);
    }
    // Reserved, its height, used, its height.
    let counts = |pool| [5, 6, 7, 8].map(|of| value(pool, of));
    assert_eq!(counts(first), [1500; 4]);
    let attribute = cu!(cuda, cuPointerGetAttribute(Pointers, u32, u64));
    let mut owner = null;
    assert_eq!(call!(attribute, &mut owner, 17, pointers[0]), 0);
    assert_eq!(owner, first);
    assert_eq!(call!(free, pointers[0], null), 0);
    assert_eq!(call!(free, pointers[0], null), 1);
    assert_eq!(call!(free, 0, null), 1);
    assert_eq!(counts(first), [500, 1500, 500, 1500]);
    assert_eq!(call!(put, first, 8, &mut 1), 1);
    assert_eq!(call!(put, first, 7, &mut 0), 1);
    assert_eq!(call!(put, first, 8, &mut 0), 0);
    assert_eq!(counts(first), [500, 1500, 500, 500]);
    // Any way of freeing counts.
    assert_eq!(call!(cu!(cuda, cuMemFree_v2(u64)), pointers[1]), 0);
    assert_eq!(counts(first), [0, 1500, 0, 500]);
    let stray = ptr::without_provenance_mut(0x5555);
    assert_eq!(call!(alloc, &mut pointers[0], 4, stray), 400);

    let create = cu!(cuda, cuMemPoolCreate(Pointers, *const Properties));
    let destroy = cu!(cuda, cuMemPoolDestroy(*mut c_void));
    let mut own = null;
    for (wrong, result) in [
        (
            Properties {
                kind: 0,
                ..PROPERTIES
            },
            1,
        ),
        (
            Properties {
                location: 0,
                ..PROPERTIES
            },
            1,
        ),
        (
            Properties {
                device: 1,
                ..PROPERTIES
            },
            101,
        ),
        (
            Properties {
                handles: 1,
                ..PROPERTIES
            },
            801,
        ),
    ] {
        assert_eq!(call!(create, &mut own, &wrong), result);
    }
    assert_eq!(call!(create, &mut own, &PROPERTIES), 0);
    assert_eq!(call!(set, 0, own), 0);
    assert_eq!(call!(alloc, &mut pointers[0], 4000, null), 0);
    assert_eq!(call!(alloc, &mut pointers[1], 97, null), 2, "it is full");
    let from = cu!(
        cuda,
        cuMemAllocFromPoolAsync(*mut u64, usize, *mut c_void, *mut c_void)
    );
    assert_eq!(call!(from, &mut pointers[1], 97, first, null), 0);
    assert_eq!(call!(from, &mut pointers[1], 97, null, null), 1);
    assert_eq!((value(own, 7), value(first, 7)), (4000, 97));
    let trim = cu!(cuda, cuMemPoolTrimTo(*mut c_void, usize));
    assert_eq!((call!(trim, own, 0), call!(trim, null, 0)), (0, 1));
    // What it had stays until it is freed; the first one is current again.
    assert_eq!(call!(destroy, own), 0);
    assert_eq!(call!(destroy, own), 1);
    assert_eq!(call!(destroy, first), 1);
    assert_eq!(call!(get, &mut current, 0), 0);
    assert_eq!(current, first);
    let fill = cu!(cuda, cuMemsetD8_v2(u64, u8, usize));
    assert_eq!(call!(fill, pointers[0], 1, 4000), 0);
    assert_eq!(call!(free, pointers[0], null), 0);
    assert_eq!(call!(set, 0, own), 1);
}
