//! Programs that move bytes.

use std::ffi::c_void;

use super::library::{in_context, pattern};

/// What the thinnest C program does.
pub(crate) fn bytes() {
    let cuda = in_context();
    let upload = cu!(cuda, cuMemcpyHtoD_v2(u64, *const u8, usize));
    let download = cu!(cuda, cuMemcpyDtoH_v2(*mut u8, u64, usize));
    // In the record, in the arena, in more pieces than the arena has.
    for size in [1, 1000, 60 << 10, (60 << 10) + 1, 512 << 10, (5 << 20) + 3] {
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
    let mut kind = 0_u32;
    let attribute = cu!(cuda, cuPointerGetAttribute(*mut u32, u32, u64));
    assert_eq!(call!(attribute, &mut kind, 2, host.addr() as u64), 0);
    assert_eq!(kind, 1);
    assert_eq!(call!(attribute, &mut kind, 2, device), 0);
    assert_eq!(kind, 2);
    assert_eq!(call!(free, host), 0);
    assert_eq!(call!(free, host), 1);
}
