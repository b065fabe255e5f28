//! What programs notice of their workers.

use std::ffi::{c_int, c_void};

use super::open;

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
        assert_eq!(call!(cu!(cuda, cuMemFree_v2(u64)), pointer), 0);
    }
}
