//! Programs that copy and fill rows.

use std::ptr;

use cudarc::driver::sys::{self, CUDA_MEMCPY2D, CUDA_MEMCPY3D, CUdeviceptr, CUmemorytype};

use super::library::{in_context, pattern};

const HOST: CUmemorytype = CUmemorytype::CU_MEMORYTYPE_HOST;
const DEVICE: CUmemorytype = CUmemorytype::CU_MEMORYTYPE_DEVICE;
const UNIFIED: CUmemorytype = CUmemorytype::CU_MEMORYTYPE_UNIFIED;

/// Device memory of so many bytes, all 0.
pub(super) fn zeros(size: usize) -> CUdeviceptr {
    let mut pointer = 0;
    ok!(cuMemAlloc_v2(&raw mut pointer, size));
    ok!(cuMemsetD8_v2(pointer, 0, size));
    pointer
}

/// Bytes of the device.
pub(super) fn read(from: CUdeviceptr, size: usize) -> Vec<u8> {
    let mut bytes = vec![0xee; size];
    ok!(cuMemcpyDtoH_v2(bytes.as_mut_ptr().cast(), from, size));
    bytes
}

/// A copy of 7 rows of 13 bytes, of any memory.
fn rows() -> CUDA_MEMCPY2D {
    CUDA_MEMCPY2D {
        srcXInBytes: 0,
        srcY: 0,
        srcMemoryType: DEVICE,
        srcHost: ptr::null(),
        srcDevice: 0,
        srcArray: ptr::null_mut(),
        srcPitch: 0,
        dstXInBytes: 0,
        dstY: 0,
        dstMemoryType: DEVICE,
        dstHost: ptr::null_mut(),
        dstDevice: 0,
        dstArray: ptr::null_mut(),
        dstPitch: 0,
        WidthInBytes: 13,
        Height: 7,
    }
}

/// Where row `row` of the copies here lies: at `x` and `y` in rows of `pitch`.
fn row(bytes: &[u8], pitch: usize, x: usize, y: usize, row: usize) -> &[u8] {
    &bytes[(y + row) * pitch + x..][..13]
}

pub(crate) fn copies_2d() {
    let _cuda = in_context();
    let host = pattern(4000);
    let (first, second) = (zeros(4000), zeros(4000));
    let stream = ptr::null_mut();
    // Up, inside, and down, each with a pitch and a place of its own.
    let up = CUDA_MEMCPY2D {
        srcMemoryType: HOST,
        srcHost: host.as_ptr().cast(),
        srcPitch: 31,
        srcXInBytes: 3,
        srcY: 2,
        dstDevice: first,
        dstPitch: 64,
        dstXInBytes: 5,
        dstY: 1,
        ..rows()
    };
    ok!(cuMemcpy2D_v2(&raw const up));
    let inside = CUDA_MEMCPY2D {
        srcDevice: first,
        srcPitch: 64,
        srcXInBytes: 5,
        srcY: 1,
        dstMemoryType: UNIFIED,
        dstDevice: second,
        dstPitch: 13,
        ..rows()
    };
    ok!(cuMemcpy2DAsync_v2(&raw const inside, stream));
    let mut back = vec![0xee_u8; 4000];
    let down = CUDA_MEMCPY2D {
        srcDevice: second,
        dstMemoryType: HOST,
        dstHost: back.as_mut_ptr().cast(),
        dstPitch: 100,
        dstY: 3,
        ..rows()
    };
    ok!(cuMemcpy2DUnaligned_v2(&raw const down));
    let there = read(first, 4000);
    for n in 0..7 {
        let expected = row(&host, 31, 3, 2, n);
        assert_eq!(row(&there, 64, 5, 1, n), expected, "{n}");
        assert_eq!(row(&back, 100, 0, 3, n), expected, "{n}");
    }
    // Nothing beside the rows is touched.
    assert_eq!(there.iter().filter(|byte| **byte != 0).count(), {
        let sent = (0..7).flat_map(|n| row(&host, 31, 3, 2, n));
        sent.filter(|byte| **byte != 0).count()
    });
    assert_eq!(back.iter().filter(|byte| **byte == 0xee).count(), {
        let sent = (0..7).flat_map(|n| row(&host, 31, 3, 2, n));
        4000 - 7 * 13 + sent.filter(|byte| **byte == 0xee).count()
    });
    // An address alone says whose it is; rows of the host too.
    let mut own = vec![0_u8; 4000];
    let unified = CUDA_MEMCPY2D {
        srcMemoryType: UNIFIED,
        srcDevice: host.as_ptr().addr() as u64,
        srcPitch: 31,
        dstMemoryType: UNIFIED,
        dstDevice: own.as_mut_ptr().addr() as u64,
        dstPitch: 20,
        ..rows()
    };
    ok!(cuMemcpy2D_v2(&raw const unified));
    assert_eq!(row(&own, 20, 0, 0, 6), row(&host, 31, 0, 0, 6));
    // Many rows are fetched in parts.
    let tall = zeros(3 << 20);
    ok!(cuMemsetD2D8_v2(tall + 7, 1024, 9, 1, 3 << 10));
    let mut column = vec![0_u8; 3 << 10];
    let down = CUDA_MEMCPY2D {
        srcDevice: tall,
        srcXInBytes: 7,
        srcPitch: 1024,
        dstMemoryType: HOST,
        dstHost: column.as_mut_ptr().cast(),
        WidthInBytes: 1,
        Height: 3 << 10,
        ..rows()
    };
    ok!(cuMemcpy2D_v2(&raw const down));
    assert!(column.iter().all(|byte| *byte == 9));
    // What is wrong does nothing. Nothing to copy is no error.
    let narrow = CUDA_MEMCPY2D {
        srcPitch: 15,
        ..inside
    };
    let past = CUDA_MEMCPY2D {
        Height: 200,
        ..inside
    };
    let freed = CUDA_MEMCPY2D {
        srcDevice: 0x40,
        ..inside
    };
    let lost = CUDA_MEMCPY2D {
        srcHost: ptr::null(),
        ..up
    };
    let array = CUDA_MEMCPY2D {
        srcMemoryType: CUmemorytype::CU_MEMORYTYPE_ARRAY,
        ..up
    };
    let endless = CUDA_MEMCPY2D {
        srcPitch: usize::MAX,
        ..inside
    };
    for (wrong, result) in [
        (narrow, 1),
        (past, 1),
        (freed, 1),
        (lost, 1),
        (array, 801),
        (endless, 1),
    ] {
        assert_eq!(sys!(cuMemcpy2D_v2(&raw const wrong)), result);
    }
    assert_eq!(sys!(cuMemcpy2D_v2(ptr::null())), 1);
    let stray = ptr::without_provenance_mut(0x5555);
    assert_eq!(sys!(cuMemcpy2DAsync_v2(&raw const inside, stray)), 400);
    let empty = CUDA_MEMCPY2D {
        Height: 0,
        ..inside
    };
    ok!(cuMemcpy2D_v2(&raw const empty));
    assert!(read(first, 4000) == there);
}

/// A copy of nothing.
pub(super) fn none_3d() -> CUDA_MEMCPY3D {
    CUDA_MEMCPY3D {
        srcXInBytes: 0,
        srcY: 0,
        srcZ: 0,
        srcLOD: 0,
        srcMemoryType: DEVICE,
        srcHost: ptr::null(),
        srcDevice: 0,
        srcArray: ptr::null_mut(),
        reserved0: ptr::null_mut(),
        srcPitch: 0,
        srcHeight: 0,
        dstXInBytes: 0,
        dstY: 0,
        dstZ: 0,
        dstLOD: 0,
        dstMemoryType: DEVICE,
        dstHost: ptr::null_mut(),
        dstDevice: 0,
        dstArray: ptr::null_mut(),
        reserved1: ptr::null_mut(),
        dstPitch: 0,
        dstHeight: 0,
        WidthInBytes: 0,
        Height: 0,
        Depth: 0,
    }
}

pub(crate) fn copies_3d() {
    let cuda = in_context();
    let host = pattern(4000);
    let (device, other) = (zeros(4000), zeros(4000));
    // 3 slices of 4 rows of 6 bytes.
    let none = none_3d();
    let up = CUDA_MEMCPY3D {
        srcMemoryType: HOST,
        srcHost: host.as_ptr().cast(),
        srcPitch: 11,
        srcHeight: 9,
        srcXInBytes: 2,
        srcY: 3,
        srcZ: 1,
        dstMemoryType: DEVICE,
        dstDevice: device,
        dstPitch: 16,
        dstHeight: 5,
        WidthInBytes: 6,
        Height: 4,
        Depth: 3,
        ..none
    };
    ok!(cuMemcpy3D_v2(&raw const up));
    let mut back = vec![0_u8; 72];
    let down = CUDA_MEMCPY3D {
        srcMemoryType: DEVICE,
        srcDevice: device,
        srcPitch: 16,
        srcHeight: 5,
        dstMemoryType: HOST,
        dstHost: back.as_mut_ptr().cast(),
        ..up
    };
    let down = CUDA_MEMCPY3D {
        srcXInBytes: 0,
        srcY: 0,
        srcZ: 0,
        dstPitch: 0,
        dstHeight: 0,
        ..down
    };
    ok!(cuMemcpy3DAsync_v2(&raw const down, ptr::null_mut()));
    let expected: Vec<u8> = (0..12)
        .flat_map(|n| {
            let start = (1 + n / 4) * 11 * 9 + (3 + n % 4) * 11 + 2;
            host[start..start + 6].to_vec()
        })
        .collect();
    assert_eq!(back, expected);
    // Slices that are lower than what is copied of them.
    let low = CUDA_MEMCPY3D { dstHeight: 3, ..up };
    assert_eq!(sys!(cuMemcpy3D_v2(&raw const low)), 1);
    // Among contexts, which have the same memory.
    let mut context = ptr::null_mut();
    ok!(cuCtxGetCurrent(&raw mut context));
    let peer = sys::CUDA_MEMCPY3D_PEER {
        srcXInBytes: 0,
        srcY: 0,
        srcZ: 0,
        srcLOD: 0,
        srcMemoryType: DEVICE,
        srcHost: ptr::null(),
        srcDevice: device,
        srcArray: ptr::null_mut(),
        srcContext: context,
        srcPitch: 16,
        srcHeight: 5,
        dstXInBytes: 0,
        dstY: 0,
        dstZ: 0,
        dstLOD: 0,
        dstMemoryType: DEVICE,
        dstHost: ptr::null_mut(),
        dstDevice: other,
        dstArray: ptr::null_mut(),
        dstContext: context,
        dstPitch: 0,
        dstHeight: 0,
        WidthInBytes: 6,
        Height: 4,
        Depth: 3,
    };
    ok!(cuMemcpy3DPeer(&raw const peer));
    assert_eq!(read(other, 72), expected);
    ok!(cuMemsetD8_v2(other, 0, 72));
    ok!(cuMemcpy3DPeerAsync(&raw const peer, ptr::null_mut()));
    assert_eq!(read(other, 72), expected);
    let to = other + 100;
    ok!(cuMemcpyPeer(to, context, other, context, 72));
    assert_eq!(read(to, 72), expected);
    let null = ptr::null_mut();
    assert_eq!(sys!(cuMemcpyPeer(to, null, other, context, 72)), 201);
    ok!(cuMemcpyPeerAsync(
        to + 100,
        context,
        to,
        context,
        72,
        null.cast()
    ));
    assert_eq!(read(to + 100, 72), expected);
    drop(cuda);
}

pub(crate) fn unified() {
    let _cuda = in_context();
    let sent = pattern(100_000);
    let mut back = vec![0_u8; 100_000];
    let (first, second) = (zeros(100_000), zeros(100_000));
    let host = sent.as_ptr().addr() as u64;
    let own = back.as_mut_ptr().addr() as u64;
    ok!(cuMemcpy(first, host, 100_000));
    ok!(cuMemcpyAsync(second, first, 100_000, ptr::null_mut()));
    ok!(cuMemcpy(own, second, 100_000));
    assert!(back == sent);
    back.fill(0);
    ok!(cuMemcpy(own, host, 50_000));
    assert!(back[..50_000] == sent[..50_000] && back[50_000..].iter().all(|byte| *byte == 0));
    assert_eq!(sys!(cuMemcpy(first, host, 100_001)), 1);
    assert_eq!(sys!(cuMemcpy(first, 0, 4)), 1);
    // An address that is kept for the device is never the program's.
    assert_eq!(sys!(cuMemcpy(own, first + (1 << 30), 4)), 1);
    let mut stream = ptr::null_mut();
    ok!(cuStreamCreate(&raw mut stream, 1));
    let (mut to, mut from) = ([second, second + 8], [host, host + 100]);
    let mut sizes = [4, 5];
    // SAFETY: 0 is a value of every field.
    let mut attributes: sys::CUmemcpyAttributes = unsafe { std::mem::zeroed() };
    let mut batch = |count, attributed, stream| {
        sys!(cuMemcpyBatchAsync_v2(
            to.as_mut_ptr(),
            from.as_mut_ptr(),
            sizes.as_mut_ptr(),
            count,
            &raw mut attributes,
            &mut 0,
            attributed,
            stream
        ))
    };
    assert_eq!(batch(2, 1, stream), 0);
    assert_eq!(batch(0, 1, stream), 1);
    assert_eq!(batch(2, 0, stream), 1);
    assert_eq!(batch(2, 1, ptr::null_mut()), 1);
    let there = read(second, 13);
    assert_eq!([&there[..4], &there[8..]], [&sent[..4], &sent[100..105]]);
}

pub(crate) fn fills() {
    let _cuda = in_context();
    let stream = ptr::null_mut();
    let to = zeros(1000);
    ok!(cuMemsetD2D8_v2(to, 20, 0xab, 3, 2));
    ok!(cuMemsetD2D16_v2(to + 100, 20, 0x1234, 3, 2));
    ok!(cuMemsetD2D32_v2(to + 200, 20, 0x89ab_cdef, 3, 2));
    ok!(cuMemsetD2D8Async(to + 300, 3, 0xab, 3, 2, stream));
    ok!(cuMemsetD2D16Async(to + 400, 20, 0x1234, 3, 2, stream));
    ok!(cuMemsetD2D32Async(to + 500, 20, 0x89ab_cdef, 3, 2, stream));
    let mut expected = vec![0_u8; 1000];
    let mut put = |at: usize, pitch: usize, element: &[u8]| {
        for row in 0..2 {
            for n in 0..3 {
                let at = at + row * pitch + n * element.len();
                expected[at..at + element.len()].copy_from_slice(element);
            }
        }
    };
    put(0, 20, &[0xab]);
    put(300, 3, &[0xab]);
    for at in [100, 400] {
        put(at, 20, &0x1234_u16.to_le_bytes());
    }
    for at in [200, 500] {
        put(at, 20, &0x89ab_cdef_u32.to_le_bytes());
    }
    assert_eq!(read(to, 1000), expected);
    for refused in [
        sys!(cuMemsetD2D8_v2(to, 2, 1, 3, 2)),
        sys!(cuMemsetD2D16_v2(to + 1, 20, 1, 3, 2)),
        sys!(cuMemsetD2D16_v2(to, 21, 1, 3, 2)),
        sys!(cuMemsetD2D32_v2(to + 2, 20, 1, 3, 2)),
        sys!(cuMemsetD2D8_v2(to, 500, 1, 501, 2)),
        sys!(cuMemsetD2D8_v2(to, 1000, 1, 1, 2)),
        sys!(cuMemsetD2D8_v2(to, usize::MAX, 1, 1, 3)),
        sys!(cuMemsetD2D32_v2(to, 8, 1, usize::MAX, 1)),
        sys!(cuMemsetD32_v2(to + 2, 1, 1)),
        sys!(cuMemsetD16_v2(to + 1, 1, 1)),
    ] {
        assert_eq!(refused, 1);
    }
    // One row has no pitch, and no rows are none.
    ok!(cuMemsetD2D8_v2(to + 999, 0, 0, 1, 1));
    ok!(cuMemsetD2D8_v2(to, 20, 9, 3, 0));
    assert_eq!(read(to, 1000), expected);
    // Rows that kernels load well.
    let (mut pointer, mut pitch) = (0, 0);
    ok!(cuMemAllocPitch_v2(
        &raw mut pointer,
        &raw mut pitch,
        1000,
        3,
        16
    ));
    assert!(
        pitch >= 1000 && pitch % 512 == 0 && pointer % 512 == 0,
        "{pitch}"
    );
    ok!(cuMemsetD2D8_v2(pointer, pitch, 1, 1000, 3));
    for (width, height, element) in [(0, 3, 4), (8, 0, 4), (8, 3, 3), (usize::MAX, 3, 4)] {
        let made = sys!(cuMemAllocPitch_v2(
            &raw mut pointer,
            &raw mut pitch,
            width,
            height,
            element
        ));
        assert_eq!(made, 1, "{width} {height} {element}");
    }
}
