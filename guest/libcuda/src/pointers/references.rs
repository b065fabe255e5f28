//! Values, lists and text behind pointers.

use std::ffi::{CStr, c_char, c_void};
use std::ptr::NonNull;

use vgpu_cuda_wire::{CUresult, CUstream};
use zerocopy::FromBytes;

use crate::rare;

pub(super) const INVALID: CUresult = CUresult::CUDA_ERROR_INVALID_VALUE;

/// What is to be written.
///
/// # Safety
/// The pointer is null, or valid for writes of a `T` until the call returns.
pub(crate) unsafe fn out<'a, T>(pointer: *mut T) -> Result<&'a mut T, CUresult> {
    // SAFETY: the caller's promise.
    unsafe { pointer.as_mut() }.ok_or(INVALID)
}

/// What is to be written where the program wants it.
///
/// # Safety
/// As [`out`].
#[allow(clippy::unnecessary_wraps)]
pub(crate) unsafe fn optional_out<'a, T>(pointer: *mut T) -> Result<Option<&'a mut T>, CUresult> {
    // SAFETY: the caller's promise.
    Ok(unsafe { pointer.as_mut() })
}

/// What is to be read.
///
/// # Safety
/// The pointer is null, or valid for reads of a `T` until the call returns.
pub(crate) unsafe fn input<'a, T>(pointer: *const T) -> Result<&'a T, CUresult> {
    // SAFETY: the caller's promise.
    unsafe { pointer.as_ref() }.ok_or_else(|| rare(INVALID))
}

/// Text.
///
/// # Safety
/// The pointer is null, or points to text that ends with 0.
pub(crate) unsafe fn text<'a>(pointer: *const c_char) -> Result<&'a CStr, CUresult> {
    match pointer.is_null() {
        true => Err(INVALID),
        // SAFETY: the caller's promise.
        false => Ok(unsafe { CStr::from_ptr(pointer) }),
    }
}

/// Bytes to read.
///
/// # Safety
/// The pointer is null, or valid for reads of so many bytes until the call
/// returns.
pub(crate) unsafe fn bytes<'a>(
    pointer: *const u8,
    length: impl TryInto<usize>,
) -> Result<&'a [u8], CUresult> {
    // SAFETY: the caller's promise.
    unsafe { list(pointer, length) }
}

/// Bytes to write.
///
/// # Safety
/// The pointer is null, or valid for writes of so many bytes until the call
/// returns.
pub(crate) unsafe fn bytes_mut<'a>(
    pointer: *mut u8,
    length: impl TryInto<usize>,
) -> Result<&'a mut [u8], CUresult> {
    // SAFETY: the caller's promise.
    unsafe { list_mut(pointer, length) }
}

/// Values to read.
///
/// # Safety
/// The pointer is null, or valid for reads of so many values until the call
/// returns.
pub(crate) unsafe fn list<'a, T>(
    pointer: *const T,
    length: impl TryInto<usize>,
) -> Result<&'a [T], CUresult> {
    match length.try_into().map_err(|_| INVALID)? {
        0 => Ok(&[]),
        _ if pointer.is_null() => Err(INVALID),
        // SAFETY: the caller's promise.
        length => Ok(unsafe { std::slice::from_raw_parts(pointer, length) }),
    }
}

/// Values to write.
///
/// # Safety
/// The pointer is null, or valid for writes of so many values until the call
/// returns.
pub(crate) unsafe fn list_mut<'a, T>(
    pointer: *mut T,
    length: impl TryInto<usize>,
) -> Result<&'a mut [T], CUresult> {
    match length.try_into().map_err(|_| INVALID)? {
        0 => Ok(&mut []),
        _ if pointer.is_null() => Err(INVALID),
        // SAFETY: the caller's promise.
        length => Ok(unsafe { std::slice::from_raw_parts_mut(pointer, length) }),
    }
}

/// Text, where there is one.
///
/// # Safety
/// As [`text`].
#[allow(clippy::unnecessary_wraps)]
pub(crate) unsafe fn optional_text<'a>(
    pointer: *const c_char,
) -> Result<Option<&'a CStr>, CUresult> {
    // SAFETY: the caller's promise.
    Ok(unsafe { text(pointer) }.ok())
}

/// A place for a value, or of one, whose type the call's other parameters say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Untyped(NonNull<c_void>);

/// A place for a value of any type.
///
/// # Safety
/// The pointer is null, or valid for reads and writes, as the call demands, of the
/// type that the driver API states for the call's other parameters, until the
/// call returns.
pub(crate) unsafe fn untyped(pointer: *mut c_void) -> Result<Untyped, CUresult> {
    NonNull::new(pointer).map(Untyped).ok_or(INVALID)
}

impl Untyped {
    /// A place that a list names: by the driver API it is as [`untyped`] asks for.
    pub(crate) fn listed(pointer: *mut c_void) -> Result<Self, CUresult> {
        NonNull::new(pointer).map(Self).ok_or(INVALID)
    }

    /// Writes the value: of the type that the driver API states.
    pub(crate) fn put<T: Copy>(self, value: T) {
        // SAFETY: the promise of `untyped`; it need not be aligned.
        unsafe { self.0.cast::<T>().write_unaligned(value) };
    }

    /// Reads the value: of the type that the driver API states.
    pub(crate) fn take<T: FromBytes>(&self) -> T {
        // SAFETY: the promise of `untyped`; any bytes are a `T`.
        unsafe { self.0.cast::<T>().read_unaligned() }
    }
}

/// The stream that 0 means in a variant for per-thread default streams.
pub(crate) fn per_thread(stream: CUstream) -> CUstream {
    match stream.is_null() {
        true => std::ptr::without_provenance_mut(2),
        false => stream,
    }
}
