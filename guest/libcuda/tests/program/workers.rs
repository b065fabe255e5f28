//! What programs notice of their workers.

use std::ffi::{c_char, c_int, c_void};

use super::library::open;

/// What the worker does not know is an error, and nothing else.
pub(super) fn older() {
    const NOT_SUPPORTED: u32 = 801;
    let cuda = open("libcuda.so.1");
    assert_eq!(call!(cu!(cuda, cuInit(u32)), 0), 0);
    let mut context = std::ptr::null_mut();
    let create = cu!(cuda, cuCtxCreate_v2(*mut *mut c_void, u32, c_int));
    assert_eq!(call!(create, &mut context, 0, 0), 0);
    for _ in 0..3 {
        assert_eq!(call!(cu!(cuda, cuCtxSynchronize())), NOT_SUPPORTED);
        let mut pointer = 0_u64;
        let alloc = cu!(cuda, cuMemAlloc_v2(*mut u64, usize));
        assert_eq!(call!(alloc, &mut pointer, 4096), 0);
        // What a later worker's answer has comes another way.
        let (from, mut to) = (*b"eight ar", [0_u8; 8]);
        let upload = cu!(cuda, cuMemcpyHtoD_v2(u64, *const u8, usize));
        assert_eq!(call!(upload, pointer, from.as_ptr(), 8), 0);
        let download = cu!(cuda, cuMemcpyDtoH_v2(*mut u8, u64, usize));
        assert_eq!(call!(download, to.as_mut_ptr(), pointer, 8), 0);
        assert_eq!(to, from);
        assert_eq!(call!(cu!(cuda, cuMemFree_v2(u64)), pointer), 0);
    }
}

/// KiB of memory that are a process's own.
fn memory(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:"));
    let value = line.unwrap().split_whitespace().nth(1).unwrap();
    value.parse().unwrap()
}

/// Contexts that are made, filled and destroyed leave nothing in the worker.
pub(super) fn contexts() {
    const PTX: &std::ffi::CStr = c".version 7.0\n.target sm_70\n.address_size 64\n
        .global .b8 table[65536];
        .visible .entry nothing() { ret; }";
    let cuda = open("libcuda.so.1");
    let create = cu!(cuda, cuCtxCreate_v2(*mut *mut c_void, u32, c_int));
    let destroy = cu!(cuda, cuCtxDestroy_v2(*mut c_void));
    let alloc = cu!(cuda, cuMemAlloc_v2(*mut u64, usize));
    let fill = cu!(cuda, cuMemsetD32_v2(u64, u32, usize));
    let pin = cu!(cuda, cuMemHostAlloc(*mut *mut c_void, usize, u32));
    let load = cu!(cuda, cuModuleLoadData(*mut *mut c_void, *const c_char));
    let stream = cu!(cuda, cuStreamCreate(*mut *mut c_void, u32));
    let event = cu!(cuda, cuEventCreate(*mut *mut c_void, u32));
    let synchronize = cu!(cuda, cuCtxSynchronize());
    let free = cu!(cuda, cuMemGetInfo_v2(*mut usize, *mut usize));
    assert_eq!(call!(cu!(cuda, cuInit(u32)), 0), 0);
    let round = || {
        let (mut context, mut handle) = (std::ptr::null_mut(), std::ptr::null_mut());
        let (mut pointer, mut left, mut total) = (0, 0, 0);
        assert_eq!(call!(create, &mut context, 0, 0), 0);
        assert_eq!(call!(free, &mut left, &mut total), 0);
        for _ in 0..2 {
            assert_eq!(call!(alloc, &mut pointer, 1 << 20), 0);
            assert_eq!(call!(fill, pointer, 1, 1 << 18), 0);
            assert_eq!(call!(pin, &mut handle, 1 << 16, 0), 0);
            assert_eq!(call!(load, &mut handle, PTX.as_ptr()), 0);
            assert_eq!(call!(stream, &mut handle, 0), 0);
            assert_eq!(call!(event, &mut handle, 0), 0);
        }
        assert_eq!(call!(synchronize), 0);
        assert_eq!(call!(destroy, context), 0);
        left
    };
    let worker = super::processes::workers()[0];
    let first = round();
    for _ in 0..4 {
        round();
    }
    let before = memory(worker);
    for _ in 0..12 {
        assert_eq!(round(), first, "bytes of device memory that are free");
    }
    let after = memory(worker);
    // What the C library keeps.
    assert!(after <= before + 2048, "{before} KiB grew to {after}");
}
