//! Programs that map memory at addresses of their own.

use std::ptr;

use cudarc::driver::sys::{
    self, CUmemAccess_flags, CUmemAccessDesc, CUmemAllocationProp, CUmemLocation,
};

use super::kernels::{Adder, COUNT};
use super::library::{in_context, pattern};
use super::rows::read;

const GRANULE: usize = 2 << 20;

/// Memory of device 0.
fn properties() -> CUmemAllocationProp {
    // SAFETY: 0 is a value of every field.
    let none: CUmemAllocationProp = unsafe { std::mem::zeroed() };
    CUmemAllocationProp {
        type_: sys::CUmemAllocationType::CU_MEM_ALLOCATION_TYPE_PINNED,
        location: CUmemLocation {
            type_: sys::CUmemLocationType::CU_MEM_LOCATION_TYPE_DEVICE,
            id: 0,
        },
        ..none
    }
}

fn access(flags: CUmemAccess_flags) -> CUmemAccessDesc {
    CUmemAccessDesc {
        location: properties().location,
        flags,
    }
}

const READ_WRITE: CUmemAccess_flags = CUmemAccess_flags::CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
const NONE: CUmemAccess_flags = CUmemAccess_flags::CU_MEM_ACCESS_FLAGS_PROT_NONE;

fn reserve(size: usize) -> u64 {
    let mut start = 0;
    ok!(cuMemAddressReserve(&raw mut start, size, 0, 0, 0));
    start
}

fn create(size: usize) -> u64 {
    let (mut handle, properties) = (0, properties());
    ok!(cuMemCreate(&raw mut handle, size, &raw const properties, 0));
    handle
}

fn allow(start: u64, size: usize, flags: CUmemAccess_flags) -> u32 {
    let access = access(flags);
    sys!(cuMemSetAccess(start, size, &raw const access, 1))
}

fn free() -> usize {
    let (mut free, mut all) = (0, 0);
    ok!(cuMemGetInfo_v2(&raw mut free, &raw mut all));
    free
}

/// What grows as PyTorch's segments do: addresses once, memory piece by piece.
pub(crate) fn grows() {
    let _cuda = in_context();
    let before = free();
    let start = reserve(8 * GRANULE);
    assert_eq!(start % GRANULE as u64, 0);
    let handles: Vec<_> = (0..3).map(|_| create(GRANULE)).collect();
    assert_eq!(free(), before - 3 * GRANULE);
    for (n, handle) in handles.iter().enumerate() {
        let at = start + (n * GRANULE) as u64;
        ok!(cuMemMap(at, GRANULE, 0, *handle, 0));
    }
    // Nothing may reach it before it is allowed.
    assert_eq!(sys!(cuMemsetD8_v2(start, 1, 1)), 1);
    assert_eq!(allow(start, 3 * GRANULE, READ_WRITE), 0);
    let (mut flags, location) = (9, properties().location);
    ok!(cuMemGetAccess(
        &raw mut flags,
        &raw const location,
        start + 5
    ));
    assert_eq!(flags, 3);
    // Copies and fills go over the seams.
    let sent = pattern(GRANULE + 1000);
    let across = start + GRANULE as u64 - 500;
    ok!(cuMemcpyHtoD_v2(across, sent.as_ptr().cast(), sent.len()));
    assert!(read(across, sent.len()) == sent);
    ok!(cuMemcpyDtoD_v2(start, across, GRANULE));
    assert!(read(start, GRANULE - 500) == sent[..GRANULE - 500]);
    ok!(cuMemsetD32_v2(start + GRANULE as u64 - 8, 0x0101_0101, 4));
    assert_eq!(read(start + GRANULE as u64 - 8, 16), [1; 16]);
    // The end is where memory ends, not where the addresses do.
    assert_eq!(sys!(cuMemsetD8_v2(start, 1, 3 * GRANULE + 1)), 1);
    // Memory keeps what is in it when it goes to another address.
    let (second, last) = (start + GRANULE as u64, start + 7 * GRANULE as u64);
    ok!(cuMemsetD8_v2(second, 7, GRANULE));
    ok!(cuMemUnmap(second, GRANULE));
    assert_eq!(sys!(cuMemsetD8_v2(second, 1, 1)), 1);
    ok!(cuMemMap(last, GRANULE, 0, handles[1], 0));
    assert_eq!(allow(last, GRANULE, READ_WRITE), 0);
    assert_eq!(read(last + 100, 3), [7; 3]);
    // A handle may go first: the memory stays while it is mapped.
    ok!(cuMemRelease(handles[1]));
    assert_eq!(read(last + 100, 3), [7; 3]);
    assert_eq!(sys!(cuMemRelease(handles[1])), 1);
    assert_eq!(free(), before - 3 * GRANULE);
    ok!(cuMemUnmap(last, GRANULE));
    assert_eq!(free(), before - 2 * GRANULE);
    // A handle more of what is mapped.
    let mut again = 0;
    let place = ptr::without_provenance_mut(usize::try_from(start).unwrap() + 10);
    ok!(cuMemRetainAllocationHandle(&raw mut again, place));
    assert_eq!(again, handles[0]);
    ok!(cuMemUnmap(start, GRANULE));
    ok!(cuMemRelease(again));
    assert_eq!(free(), before - 2 * GRANULE);
    ok!(cuMemRelease(again));
    assert_eq!(free(), before - GRANULE);
    let third = start + 2 * GRANULE as u64;
    ok!(cuMemUnmap(third, GRANULE));
    ok!(cuMemRelease(handles[2]));
    assert_eq!(free(), before);
    ok!(cuMemAddressFree(start, 8 * GRANULE));
    assert_eq!(sys!(cuMemAddressFree(start, 8 * GRANULE)), 1);
}

pub(crate) fn refusals() {
    let _cuda = in_context();
    let good = properties();
    let mut size = 0;
    for option in [
        sys::CUmemAllocationGranularity_flags::CU_MEM_ALLOC_GRANULARITY_MINIMUM,
        sys::CUmemAllocationGranularity_flags::CU_MEM_ALLOC_GRANULARITY_RECOMMENDED,
    ] {
        ok!(cuMemGetAllocationGranularity(
            &raw mut size,
            &raw const good,
            option
        ));
        assert_eq!(size, GRANULE);
    }
    let mut handle = 0;
    let mut make = |properties: CUmemAllocationProp, size, flags| {
        sys!(cuMemCreate(
            &raw mut handle,
            size,
            &raw const properties,
            flags
        ))
    };
    let mut other = good;
    other.location.id = 1;
    assert_eq!(make(other, GRANULE, 0), 101);
    other = good;
    other.location.type_ = sys::CUmemLocationType::CU_MEM_LOCATION_TYPE_HOST;
    assert_eq!(make(other, GRANULE, 0), 1);
    other = good;
    other.requestedHandleTypes =
        sys::CUmemAllocationHandleType::CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
    assert_eq!(make(other, GRANULE, 0), 801);
    assert_eq!(make(good, GRANULE, 1), 1);
    assert_eq!(make(good, 0, 0), 1);
    assert_eq!(make(good, GRANULE + 1, 0), 1);
    assert_eq!(make(good, GRANULE << 20, 0), 2);
    let mut start = 0;
    assert_eq!(sys!(cuMemAddressReserve(&raw mut start, 5, 0, 0, 0)), 1);
    assert_eq!(
        sys!(cuMemAddressReserve(&raw mut start, GRANULE, 3, 0, 0)),
        1
    );
    assert_eq!(
        sys!(cuMemAddressReserve(&raw mut start, 1 << 40, 0, 0, 0)),
        2
    );
    // An alignment, and a hint that is taken where it is free.
    ok!(cuMemAddressReserve(&raw mut start, GRANULE, 1 << 30, 0, 0));
    assert_eq!(start % (1 << 30), 0);
    let hint = start + (1 << 30);
    let mut hinted = 0;
    ok!(cuMemAddressReserve(&raw mut hinted, GRANULE, 0, hint, 0));
    assert_eq!(hinted, hint);
    ok!(cuMemAddressReserve(&raw mut hinted, GRANULE, 0, hint, 0));
    assert_ne!(hinted, hint);
    // Addresses that were not reserved, or are in use.
    let handle = create(2 * GRANULE);
    let start = reserve(3 * GRANULE);
    let next = start + GRANULE as u64;
    assert_eq!(sys!(cuMemMap(start, 2 * GRANULE, 4096, handle, 0)), 1);
    assert_eq!(sys!(cuMemMap(start, 2 * GRANULE, 0, handle, 1)), 1);
    assert_eq!(sys!(cuMemMap(start + 512, 2 * GRANULE, 0, handle, 0)), 1);
    assert_eq!(sys!(cuMemMap(start, 3 * GRANULE, 0, handle, 0)), 1);
    assert_eq!(
        sys!(cuMemMap(next + GRANULE as u64, 2 * GRANULE, 0, handle, 0)),
        1
    );
    assert_eq!(sys!(cuMemMap(start, GRANULE, 0, handle + 99, 0)), 1);
    ok!(cuMemMap(next, 2 * GRANULE, 0, handle, 0));
    let small = create(GRANULE);
    assert_eq!(sys!(cuMemMap(next, GRANULE, 0, small, 0)), 1);
    assert_eq!(
        sys!(cuMemMap(next + GRANULE as u64, GRANULE, 0, small, 0)),
        1
    );
    ok!(cuMemMap(start, GRANULE, 0, small, 0));
    assert_eq!(
        sys!(cuMemMap(hint, 2 * GRANULE, 0, handle, 0)),
        1,
        "too long"
    );
    // Whole mappings, and nothing else.
    for (at, size) in [
        (next, GRANULE),
        (start, 2 * GRANULE),
        (next + GRANULE as u64, GRANULE),
        (start, 4 * GRANULE),
        (hint, GRANULE),
        (start, 0),
    ] {
        assert_eq!(sys!(cuMemUnmap(at, size)), 1);
        assert_eq!(allow(at, size, READ_WRITE), 1);
    }
    assert_eq!(sys!(cuMemAddressFree(start, 3 * GRANULE)), 1, "in use");
    assert_eq!(allow(start, 3 * GRANULE, READ_WRITE), 0);
    let elsewhere = CUmemAccessDesc {
        location: CUmemLocation {
            id: 1,
            ..properties().location
        },
        flags: READ_WRITE,
    };
    assert_eq!(
        sys!(cuMemSetAccess(start, GRANULE, &raw const elsewhere, 1)),
        101
    );
    assert_eq!(sys!(cuMemSetAccess(start, GRANULE, ptr::null(), 0)), 1);
    ok!(cuMemsetD8_v2(start, 1, 3 * GRANULE));
    assert_eq!(allow(next, 2 * GRANULE, NONE), 0);
    assert_eq!(sys!(cuMemsetD8_v2(next, 1, 1)), 1);
    assert_eq!(sys!(cuMemFree_v2(start)), 1, "it is no allocation");
    let mut found = properties();
    found.location.id = 9;
    ok!(cuMemGetAllocationPropertiesFromHandle(
        &raw mut found,
        handle
    ));
    assert_eq!(found.location.id, 0);
    assert_eq!(
        sys!(cuMemGetAllocationPropertiesFromHandle(
            &raw mut found,
            12345
        )),
        1
    );
    let mut shared = 0_i32;
    let kind = sys::CUmemAllocationHandleType::CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
    let into = (&raw mut shared).cast();
    assert_eq!(sys!(cuMemExportToShareableHandle(into, handle, kind, 0)), 1);
    let mut taken = 0;
    assert_eq!(
        sys!(cuMemImportFromShareableHandle(&raw mut taken, into, kind)),
        801
    );
    ok!(cuMemUnmap(start, 3 * GRANULE));
}

/// A kernel reaches what is mapped, over a seam.
pub(crate) fn kernels() {
    let adder = Adder::new();
    let start = reserve(2 * GRANULE);
    let handles = [create(GRANULE), create(GRANULE)];
    for (n, handle) in handles.iter().enumerate() {
        ok!(cuMemMap(
            start + (n * GRANULE) as u64,
            GRANULE,
            0,
            *handle,
            0
        ));
    }
    assert_eq!(allow(start, 2 * GRANULE, READ_WRITE), 0);
    let size = COUNT as usize * 4;
    let into = start + GRANULE as u64 - 2000;
    ok!(cuMemcpyDtoD_v2(into, adder.into, size));
    let mapped = Adder { into, ..adder };
    assert_eq!(mapped.add(), 0);
    mapped.check(1);
    // Once it is not mapped any more, it is nobody's.
    ok!(cuMemUnmap(start, 2 * GRANULE));
    assert_eq!(mapped.add(), 0);
    assert_eq!(sys!(cuCtxSynchronize()), 700);
}
