//! Programs that move bytes.

use std::ffi::{CStr, c_char, c_void};

use super::library::{in_context, pattern};

/// What the thinnest C program does.
pub(crate) fn bytes() {
    let cuda = in_context();
    let upload = cu!(cuda, cuMemcpyHtoD_v2(u64, *const u8, usize));
    let download = cu!(cuda, cuMemcpyDtoH_v2(*mut u8, u64, usize));
    // In the record and in the answer, in the arena, in more pieces than the arena has.
    for size in [
        1,
        64,
        112,
        113,
        1000,
        60 << 10,
        (60 << 10) + 1,
        512 << 10,
        (5 << 20) + 3,
    ] {
        let mut pointer = 0;
        assert_eq!(
            call!(
                cu!(cuda, cuMemAlloc_v2(*mut u64, usize)),
                &mut pointer,
                size
            ),
            0
        );
        let sent = pattern(size);
        let mut received = vec![0; size];
        assert_eq!(call!(upload, pointer, sent.as_ptr(), size), 0);
        assert_eq!(call!(download, received.as_mut_ptr(), pointer, size), 0);
        assert!(sent == received, "{size} bytes");
        // The source may change as soon as the call returns.
        let mut changing = sent.clone();
        assert_eq!(call!(upload, pointer, changing.as_ptr(), size), 0);
        changing.fill(0);
        assert_eq!(call!(download, received.as_mut_ptr(), pointer, size), 0);
        assert!(sent == received, "{size} bytes after a change");
        assert_eq!(call!(cu!(cuda, cuMemFree_v2(u64)), pointer), 0);
    }
}

pub(crate) fn pinned() {
    let cuda = in_context();
    let size = 3 << 20;
    let (mut host, mut device): (*mut u8, u64) = (std::ptr::null_mut(), 0);
    let (alloc, free) = (
        cu!(cuda, cuMemHostAlloc(*mut *mut u8, usize, u32)),
        cu!(cuda, cuMemFreeHost(*mut u8)),
    );
    assert_eq!(call!(alloc, &mut host, size, 0), 0);
    assert_eq!(
        call!(cu!(cuda, cuMemAlloc_v2(*mut u64, usize)), &mut device, size),
        0
    );
    // SAFETY: pinned memory of that size, until it is given back below.
    let memory = unsafe { std::slice::from_raw_parts_mut(host, size) };
    let sent = pattern(size);
    memory.copy_from_slice(&sent);
    let null = std::ptr::null_mut::<c_void>();
    let upload = cu!(
        cuda,
        cuMemcpyHtoDAsync_v2(u64, *const u8, usize, *mut c_void)
    );
    let download = cu!(cuda, cuMemcpyDtoHAsync_v2(*mut u8, u64, usize, *mut c_void));
    assert_eq!(call!(upload, device, host, size, null), 0);
    assert_eq!(call!(cu!(cuda, cuStreamSynchronize(*mut c_void)), null), 0);
    memory.fill(0);
    assert_eq!(call!(download, host, device, size, null), 0);
    assert_eq!(call!(cu!(cuda, cuStreamSynchronize(*mut c_void)), null), 0);
    assert!(memory == sent);
    // As many as an answer has, or more.
    for some in [0, 1, 112, 113] {
        memory.fill(0);
        assert_eq!(call!(download, host, device, some, null), 0);
        assert!(memory[..some] == sent[..some], "{some} bytes");
        assert!(memory[some..].iter().all(|&byte| byte == 0), "{some} bytes");
    }
    let mut kind = 0_u32;
    let attribute = cu!(cuda, cuPointerGetAttribute(*mut u32, u32, u64));
    assert_eq!(call!(attribute, &mut kind, 2, host.addr() as u64), 0);
    assert_eq!(kind, 1);
    assert_eq!(call!(attribute, &mut kind, 2, device), 0);
    assert_eq!(kind, 2);
    assert_eq!(call!(free, host), 0);
    assert_eq!(call!(free, host), 1);
}

/// The variables of a module are device memory that the program did not allocate.
pub(crate) fn variables() {
    let cuda = in_context();
    let image = c".version 7.8\n.target sm_70\n.address_size 64\n
        .visible .global .u32 first[4] = {1, 2, 3, 4};\n.visible .const .u32 second[2];";
    let load = cu!(cuda, cuModuleLoadData(*mut *mut c_void, *const c_char));
    let mut module = std::ptr::null_mut();
    assert_eq!(call!(load, &mut module, image.as_ptr()), 0);
    let find = cu!(
        cuda,
        cuModuleGetGlobal_v2(*mut u64, *mut usize, *mut c_void, *const c_char)
    );
    let variable = |name: &CStr| {
        let (mut pointer, mut size) = (0_u64, 0_usize);
        let found = call!(find, &mut pointer, &mut size, module, name.as_ptr());
        assert_eq!(found, 0);
        (pointer, size)
    };
    let ((first, 16), (second, 8)) = (variable(c"first"), variable(c"second")) else {
        panic!("other sizes");
    };
    let upload = cu!(cuda, cuMemcpyHtoD_v2(u64, *const u32, usize));
    let download = cu!(cuda, cuMemcpyDtoH_v2(*mut u32, u64, usize));
    let inside = cu!(cuda, cuMemcpyDtoD_v2(u64, u64, usize));
    let fill = cu!(cuda, cuMemsetD32_v2(u64, u32, usize));
    let mut there = [0_u32; 4];
    assert_eq!(call!(download, there.as_mut_ptr(), first, 16), 0);
    assert_eq!(there, [1, 2, 3, 4]);
    assert_eq!(call!(upload, second, [5_u32, 6].as_ptr(), 8), 0);
    assert_eq!(call!(inside, first + 4, second, 8), 0);
    assert_eq!(call!(fill, first, 7, 1), 0);
    assert_eq!(call!(download, there.as_mut_ptr(), first, 16), 0);
    assert_eq!(there, [7, 5, 6, 4]);
    // It ends where it ends, and with its module.
    assert_eq!(call!(upload, second, there.as_ptr(), 9), 1);
    let free = cu!(cuda, cuMemFree_v2(u64));
    assert_eq!(call!(free, first), 1);
    let range = cu!(cuda, cuMemGetAddressRange_v2(*mut u64, *mut usize, u64));
    let (mut start, mut size) = (0, 0);
    assert_eq!(call!(range, &mut start, &mut size, first + 5), 0);
    assert_eq!((start, size), (first, 16));
    // What is behind it is another's, or nobody's.
    let behind = call!(range, &mut start, &mut size, second + 8);
    assert!(behind == 500 || start != second);
    let unload = cu!(cuda, cuModuleUnload(*mut c_void));
    assert_eq!(call!(unload, module), 0);
    assert_eq!(call!(download, there.as_mut_ptr(), first, 16), 1);
    // Or with its context.
    assert_eq!(call!(load, &mut module, image.as_ptr()), 0);
    let mut context = std::ptr::null_mut();
    let current = cu!(cuda, cuCtxGetCurrent(*mut *mut c_void));
    assert_eq!(call!(current, &mut context), 0);
    let destroy = cu!(cuda, cuCtxDestroy_v2(*mut c_void));
    assert_eq!(call!(destroy, context), 0);
    let _next = in_context();
    assert_eq!(call!(cu!(cuda, cuCtxSynchronize())), 0);
}

/// What was freed is unknown at once, to whoever has just named it, whichever thread freed it; an end of it was never more.
pub(crate) fn freed() {
    let cuda = in_context();
    let alloc = cu!(cuda, cuMemAlloc_v2(*mut u64, usize));
    let free = cu!(cuda, cuMemFree_v2(u64));
    let fill = cu!(cuda, cuMemsetD8Async(u64, u8, usize, *mut c_void));
    let null = std::ptr::null_mut::<c_void>();
    let (mut kept, mut pointer, mut context) = (0, 0, 0);
    let current = cu!(cuda, cuCtxGetCurrent(*mut usize));
    let set_current = cu!(cuda, cuCtxSetCurrent(usize));
    assert_eq!(call!(current, &mut context), 0);
    assert_eq!(call!(alloc, &mut kept, 64), 0);
    for elsewhere in [false, true] {
        assert_eq!(call!(alloc, &mut pointer, 64), 0);
        assert_eq!(call!(fill, pointer, 7, 64, null), 0);
        assert_eq!(call!(fill, pointer + 64, 7, 0, null), 0);
        assert_eq!(call!(fill, pointer + 1, 7, 64, null), 1);
        assert_eq!(call!(fill, pointer - 1, 7, 1, null), 1);
        assert_eq!(call!(fill, pointer, 7, 1, null), 0);
        match elsewhere {
            false => assert_eq!(call!(free, pointer), 0),
            true => std::thread::scope(|scope| {
                scope.spawn(|| {
                    assert_eq!(call!(set_current, context), 0);
                    assert_eq!(call!(free, pointer), 0);
                });
            }),
        }
        assert_eq!(call!(fill, pointer, 7, 64, null), 1);
        assert_eq!(call!(fill, kept, 7, 64, null), 0);
    }
    assert_eq!(call!(free, kept), 0);
}
