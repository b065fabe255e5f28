//! Memory of the program that a copy reads or writes: now, or when a graph that holds the copy is
//! launched.

use std::ffi::c_void;
use std::ptr;

use vgpu_cuda_wire::{CUDA_MEMCPY2D, CUDA_MEMCPY3D, CUresult, CopySide, CopySide2D};
use vgpu_transport::Lent;

use super::references::{INVALID, input};

/// Where memory of the program begins. By the driver API it is valid for as long as the copy may
/// run, which has been asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Host(usize);

/// Memory that a copy reads or writes.
///
/// # Safety
/// The pointer is null, or valid for what the copy does, as the driver API states it.
#[allow(clippy::unnecessary_wraps)]
pub(crate) unsafe fn host(pointer: *const c_void) -> Result<Host, CUresult> {
    Ok(Host(pointer.expose_provenance()))
}

/// The pages of memory that the program registers, and how many bytes of them come before it.
pub(crate) fn lent(pointer: *const c_void, size: usize) -> Option<(Lent, usize)> {
    // SAFETY: by the driver API, memory that is registered is the program's and the device's until that ends, and the program
    // uses none of it that a copy still reads or writes. This library has no reference to it but for a copy.
    unsafe { Lent::new(pointer.addr(), size) }
}

impl Host {
    /// Memory that a copy names by an address alone, which is none of the device's: by the driver
    /// API it is then the program's, and valid as [`host`] asks for.
    pub(crate) fn unified(address: u64) -> Self {
        Self(usize::try_from(address).unwrap_or_default())
    }

    pub(crate) const fn address(self) -> usize {
        self.0
    }

    pub(crate) const fn offset(self, bytes: usize) -> Self {
        Self(self.0.wrapping_add(bytes))
    }

    /// Bytes to read.
    pub(crate) fn bytes<'a>(self, length: usize) -> Result<&'a [u8], CUresult> {
        match (length, self.0) {
            (0, _) => Ok(&[]),
            (_, 0) => Err(INVALID),
            (_, start) => {
                let start = ptr::with_exposed_provenance(start);
                // SAFETY: the promise of `host`, for the copy that is done now.
                Ok(unsafe { std::slice::from_raw_parts(start, length) })
            }
        }
    }

    /// Bytes to write.
    pub(crate) fn bytes_mut<'a>(self, length: usize) -> Result<&'a mut [u8], CUresult> {
        match (length, self.0) {
            (0, _) => Ok(&mut []),
            (_, 0) => Err(INVALID),
            (_, start) => {
                let start = ptr::with_exposed_provenance_mut(start);
                // SAFETY: as above, and nothing else reads it meanwhile.
                Ok(unsafe { std::slice::from_raw_parts_mut(start, length) })
            }
        }
    }

    /// Copies to another place of the program, which may overlap.
    pub(crate) fn copy_to(self, to: Self, length: usize) -> Result<(), CUresult> {
        if length == 0 {
            return Ok(());
        }
        if self.0 == 0 || to.0 == 0 {
            return Err(INVALID);
        }
        let from: *const u8 = ptr::with_exposed_provenance(self.0);
        let to: *mut u8 = ptr::with_exposed_provenance_mut(to.0);
        // SAFETY: the promise of `host` for both.
        unsafe { ptr::copy(from, to, length) };
        Ok(())
    }
}

/// One side of a copy of rows, as a program states it. Sizes are in bytes, heights in rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CopyEnd {
    pub(crate) x: usize,
    pub(crate) y: usize,
    pub(crate) z: usize,
    /// `CUmemorytype`.
    pub(crate) kind: u32,
    pub(crate) host: Host,
    pub(crate) device: u64,
    /// What it states; 0 is as little as there can be.
    pub(crate) pitch: usize,
    pub(crate) height: usize,
}

/// A copy of rows and slices, as a program states it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CopyCall {
    pub(crate) to: CopyEnd,
    pub(crate) from: CopyEnd,
    pub(crate) width: usize,
    pub(crate) rows: usize,
    pub(crate) slices: usize,
}

/// A copy of rows.
///
/// # Safety
/// The pointer is null, or valid for reads; where the copy's memory is the program's, it is valid
/// for as long as the driver API states.
pub(crate) unsafe fn copy_2d(pointer: *const CUDA_MEMCPY2D) -> Result<CopyCall, CUresult> {
    let end = |side: &CopySide2D| CopyEnd {
        x: side.x,
        y: side.y,
        z: 0,
        kind: side.kind,
        host: Host(side.host.expose_provenance()),
        device: side.device,
        pitch: side.pitch,
        height: 0,
    };
    // SAFETY: the caller's promise.
    let copy = unsafe { input(pointer) }?;
    Ok(CopyCall {
        to: end(&copy.destination),
        from: end(&copy.source),
        width: copy.width,
        rows: copy.height,
        slices: 1,
    })
}

/// A copy of rows and slices.
///
/// # Safety
/// As [`copy_2d`].
pub(crate) unsafe fn copy_3d(pointer: *const CUDA_MEMCPY3D) -> Result<CopyCall, CUresult> {
    let end = |side: &CopySide| CopyEnd {
        x: side.x,
        y: side.y,
        z: side.z,
        kind: side.kind,
        host: Host(side.host.expose_provenance()),
        device: side.device,
        pitch: side.pitch,
        height: side.height,
    };
    // SAFETY: the caller's promise.
    let copy = unsafe { input(pointer) }?;
    Ok(CopyCall {
        to: end(&copy.destination),
        from: end(&copy.source),
        width: copy.width,
        rows: copy.height,
        slices: copy.depth,
    })
}

impl CopyEnd {
    /// The beginning of memory of one kind, in a copy of one row.
    pub(crate) const fn row(kind: u32, host: Host, device: u64) -> Self {
        Self {
            x: 0,
            y: 0,
            z: 0,
            kind,
            host,
            device,
            pitch: 0,
            height: 0,
        }
    }

    fn stated(&self) -> CopySide {
        CopySide {
            x: self.x,
            y: self.y,
            z: self.z,
            level: 0,
            kind: self.kind,
            host: ptr::with_exposed_provenance(self.host.0),
            device: self.device,
            array: ptr::null_mut(),
            reserved: ptr::null_mut(),
            pitch: self.pitch,
            height: self.height,
        }
    }
}

impl CopyCall {
    /// As a program would state it.
    pub(crate) fn stated(&self) -> CUDA_MEMCPY3D {
        CUDA_MEMCPY3D {
            source: self.from.stated(),
            destination: self.to.stated(),
            width: self.width,
            height: self.rows,
            depth: self.slices,
        }
    }
}
