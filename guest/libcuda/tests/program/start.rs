//! Programs that look at errors, and for functions.

use std::ffi::{CString, c_char, c_int, c_void};

use super::library::{open, pattern};

/// What measured programs call, by the description of the interface.
const CALLED: &str = include_str!("../../../../cuda/idl/programs.txt");

pub(crate) fn nothing() {
    let cuda = open("libcuda.so.1");
    for _ in 0..2 {
        assert_eq!(call!(cu!(cuda, cuInit(u32)), 0), 100, "no device");
    }
    let mut version = 0;
    let get = cu!(cuda, cuDriverGetVersion(*mut c_int));
    assert_eq!(call!(get, &mut version), 0);
    assert_eq!(version, 13_000);
}

pub(crate) fn errors() {
    let cuda = open("libcuda.so.1");
    let alloc = cu!(cuda, cuMemAlloc_v2(*mut u64, usize));
    let mut pointer = 0;
    assert_eq!(call!(alloc, &mut pointer, 4), 3, "not initialized");
    assert_eq!(call!(cu!(cuda, cuInit(u32)), 1), 1);
    assert_eq!(call!(cu!(cuda, cuInit(u32)), 0), 0);
    assert_eq!(call!(alloc, &mut pointer, 4), 201, "no context");
    let mut context = std::ptr::null_mut();
    let retain = cu!(cuda, cuDevicePrimaryCtxRetain(*mut *mut c_void, c_int));
    assert_eq!(call!(retain, &mut context, 1), 101);
    assert_eq!(call!(retain, &mut context, 0), 0);
    assert_eq!(call!(cu!(cuda, cuCtxSetCurrent(*mut c_void)), context), 0);
    assert_eq!(call!(alloc, std::ptr::null_mut(), 4), 1);
    assert_eq!(call!(alloc, &mut pointer, 0), 1);
    assert_eq!(call!(alloc, &mut pointer, 1 << 50), 2);
    assert_eq!(call!(alloc, &mut pointer, 100), 0);
    let upload = cu!(cuda, cuMemcpyHtoD_v2(u64, *const u8, usize));
    let sent = pattern(101);
    assert_eq!(call!(upload, pointer, sent.as_ptr(), 101), 1);
    assert_eq!(call!(upload, pointer + 1, sent.as_ptr(), 100), 1);
    assert_eq!(call!(upload, pointer, std::ptr::null(), 4), 1);
    assert_eq!(call!(upload, pointer + 1, sent.as_ptr(), 99), 0);
    let free = cu!(cuda, cuMemFree_v2(u64));
    assert_eq!(call!(free, pointer + 1), 1);
    assert_eq!(call!(free, pointer), 0);
    assert_eq!(call!(free, pointer), 1);
    let stray: *mut c_void = std::ptr::without_provenance_mut(0x5555);
    assert_eq!(
        call!(cu!(cuda, cuStreamSynchronize(*mut c_void)), stray),
        400
    );
    assert_eq!(call!(cu!(cuda, cuCtxSynchronize())), 0);
    let mut text: *const c_char = std::ptr::null();
    let string = cu!(cuda, cuGetErrorString(u32, *mut *const c_char));
    assert_eq!(call!(string, 700, &mut text), 0);
    // SAFETY: what the library gave is text that ends with 0.
    let text = unsafe { std::ffi::CStr::from_ptr(text) };
    assert_eq!(text, c"illegal address");
}

pub(crate) fn lookups() {
    let cuda = open("libcuda.so.1");
    let find = cu!(
        cuda,
        cuGetProcAddress_v2(*const c_char, *mut *mut c_void, c_int, u64, *mut u32)
    );
    let look = |name: &str, version, flags| {
        let name = CString::new(name).unwrap();
        let (mut function, mut status) = (std::ptr::null_mut(), 9);
        assert_eq!(
            call!(
                find,
                name.as_ptr(),
                &mut function,
                version,
                flags,
                &mut status
            ),
            0
        );
        (function.addr(), status)
    };
    let symbol = |name: &str| {
        // SAFETY: only the address is looked at.
        let symbol = unsafe { cuda.get::<unsafe extern "C" fn()>(name.as_bytes()) };
        symbol.map_or(0, |symbol| *symbol as usize)
    };
    assert_eq!(look("cuMemAlloc", 12_000, 0), (symbol("cuMemAlloc_v2"), 0));
    assert_eq!(look("cuMemAlloc", 2_000, 0), (0, 2));
    assert_eq!(look("cuNothing", 12_000, 0), (0, 1));
    assert_eq!(
        look("cuCtxSynchronize", 12_000, 0).0,
        symbol("cuCtxSynchronize")
    );
    assert_eq!(
        look("cuCtxSynchronize", 13_000, 0).0,
        symbol("cuCtxSynchronize_v2")
    );
    assert_eq!(
        look("cuMemsetD8Async", 13_000, 0).0,
        symbol("cuMemsetD8Async")
    );
    assert_eq!(
        look("cuMemsetD8Async", 13_000, 2).0,
        symbol("cuMemsetD8Async_ptsz")
    );
    let refused = look("cuTexRefSetFlags", 13_000, 0);
    assert_eq!(refused, (symbol("cuTexRefSetFlags"), 0));
    assert_eq!(
        call!(
            cu!(cuda, cuTexRefSetFlags(*mut c_void, u32)),
            std::ptr::null_mut(),
            0
        ),
        801
    );
    // cudart's question whether the driver is NVIDIA's own has no answer.
    let table = cu!(cuda, cuGetExportTable(*mut *const c_void, *const [u8; 16]));
    let uuid = 0xd408_2055_bde6_704b_8d34_ba12_3c66_e1f2_u128.to_be_bytes();
    let mut found: *const c_void = std::ptr::dangling();
    assert_eq!(call!(table, &mut found, &uuid), 500);
    assert!(found.is_null());
}

pub(crate) fn programs() {
    let cuda = open("libcuda.so.1");
    let names = CALLED.lines().filter(|line| line.starts_with("cu"));
    let names: std::collections::BTreeSet<_> = names.collect();
    assert!(names.len() >= 120, "{}", names.len());
    for name in names {
        // SAFETY: it is not called.
        let symbol = unsafe { cuda.get::<unsafe extern "C" fn()>(name.as_bytes()) };
        assert!(symbol.is_ok(), "{name}");
    }
}
