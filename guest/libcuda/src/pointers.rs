//! A program's pointers as references, and what else needs unsafe code.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_void};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous};
use vgpu_cuda_wire::{CUDA_KERNEL_NODE_PARAMS, CUfunction, CUresult, CUstream};

const INVALID: CUresult = CUresult::CUDA_ERROR_INVALID_VALUE;

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
    unsafe { pointer.as_ref() }.ok_or(INVALID)
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
    match length.try_into().map_err(|_| INVALID)? {
        0 => Ok(&[]),
        _ if pointer.is_null() => Err(INVALID),
        // SAFETY: the caller's promise.
        length => Ok(unsafe { std::slice::from_raw_parts(pointer, length) }),
    }
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
    match length.try_into().map_err(|_| INVALID)? {
        0 => Ok(&mut []),
        _ if pointer.is_null() => Err(INVALID),
        // SAFETY: the caller's promise.
        length => Ok(unsafe { std::slice::from_raw_parts_mut(pointer, length) }),
    }
}

/// A place for a value whose type the call's other parameters say.
#[derive(Debug)]
pub(crate) struct Untyped(NonNull<c_void>);

/// A place for a value of any type.
///
/// # Safety
/// The pointer is null, or valid for a write of the type that the driver API
/// states for the call's other parameters, until the call returns.
pub(crate) unsafe fn untyped(pointer: *mut c_void) -> Result<Untyped, CUresult> {
    NonNull::new(pointer).map(Untyped).ok_or(INVALID)
}

impl Untyped {
    /// Writes the value: of the type that the driver API states.
    pub(crate) fn put<T: Copy>(self, value: T) {
        // SAFETY: the promise of `untyped`; it need not be aligned.
        unsafe { self.0.cast::<T>().write_unaligned(value) };
    }
}

/// An image: text that ends with 0, or an ELF file, whose headers say how long
/// it is.
///
/// # Safety
/// The pointer is null, or points to such an image.
pub(crate) unsafe fn image<'a>(pointer: *const c_void) -> Result<&'a [u8], CUresult> {
    let start: *const u8 = pointer.cast();
    // SAFETY: the caller's promise; what is no ELF file is text.
    let text = unsafe { text(start.cast()) }?;
    if !text.to_bytes().starts_with(b"\x7fELF") {
        return match text.to_bytes().is_ascii() {
            true => Ok(text.to_bytes()),
            // A fat binary begins with other bytes; we do not take it apart.
            false => Err(CUresult::CUDA_ERROR_INVALID_IMAGE),
        };
    }
    // SAFETY: the header of a 64-bit ELF file has 64 bytes.
    let header = unsafe { bytes(start, 64_usize) }?;
    let read = |at: usize, size: usize| {
        let mut word = [0; 8];
        word[..size].copy_from_slice(&header[at..at + size]);
        u64::from_le_bytes(word)
    };
    // e_shoff, e_shentsize, e_shnum: the sections' headers come last.
    let end = read(0x28, 8).checked_add(read(0x3a, 2) * read(0x3c, 2));
    let length = end.ok_or(CUresult::CUDA_ERROR_INVALID_IMAGE)?;
    // SAFETY: the caller's promise: the image is as long as its headers say.
    unsafe { bytes(start, length) }
}

/// A kernel's arguments: a list of pointers to them, or a list of options
/// (`extra`), of which one is a block of parameters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arguments(*mut *mut c_void);

/// A kernel's arguments.
///
/// # Safety
/// The pointer is null, or a list as the driver API states it for the kernel,
/// until the call returns.
#[allow(clippy::unnecessary_wraps)]
pub(crate) unsafe fn arguments(list: *mut *mut c_void) -> Result<Arguments, CUresult> {
    Ok(Arguments(list))
}

impl Arguments {
    /// An entry of the list.
    ///
    /// # Safety
    /// The list is that long.
    unsafe fn at(self, index: usize) -> *mut c_void {
        // SAFETY: the caller's promise.
        let entry = unsafe { self.0.add(index) };
        // SAFETY: the caller's promise.
        unsafe { *entry }
    }

    /// Makes a block of parameters. `self` lists pointers, `extra` options;
    /// `places` are the parameters' offsets and sizes in a block of `size`.
    pub(crate) fn pack(
        self,
        extra: Self,
        places: &[(u32, u32)],
        size: u32,
    ) -> Result<Vec<u8>, CUresult> {
        match (self.0.is_null(), extra.0.is_null()) {
            (false, true) => {
                let mut block = vec![0; size as usize];
                for (n, &(offset, size)) in places.iter().enumerate() {
                    let (offset, size) = (offset as usize, size as usize);
                    let end = offset.checked_add(size).ok_or(INVALID)?;
                    let into = block.get_mut(offset..end).ok_or(INVALID)?;
                    // SAFETY: the promise of `arguments`: one pointer for each
                    // parameter of the kernel.
                    let argument = unsafe { self.at(n) };
                    // SAFETY: as above, to as many bytes as the parameter has.
                    into.copy_from_slice(unsafe { bytes(argument.cast(), size) }?);
                }
                Ok(block)
            }
            (true, false) => extra.block(),
            (true, true) if places.is_empty() => Ok(Vec::new()),
            _ => Err(INVALID),
        }
    }

    /// The block of parameters in a list of options.
    fn block(self) -> Result<Vec<u8>, CUresult> {
        const END: usize = 0;
        const POINTER: usize = 1;
        const SIZE: usize = 2;
        let (mut pointer, mut size) = (std::ptr::null(), std::ptr::null());
        // There are two options: more are no list.
        for pair in 0..3 {
            // SAFETY: the promise of `arguments`: pairs of an option and its
            // value, up to END.
            let option = unsafe { self.at(2 * pair) };
            if option.addr() == END {
                break;
            }
            // SAFETY: as above.
            let value = unsafe { self.at(2 * pair + 1) };
            match option.addr() {
                POINTER => pointer = value.cast_const(),
                SIZE => size = value.cast_const(),
                _ => return Err(INVALID),
            }
        }
        // SAFETY: as above: the size's value points to a size_t.
        let size: usize = *unsafe { input(size.cast()) }?;
        // SAFETY: as above: the block has so many bytes.
        Ok(unsafe { bytes(pointer.cast(), size) }?.to_vec())
    }
}

/// A kernel node of a graph.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KernelNode {
    pub(crate) function: CUfunction,
    pub(crate) grid: [u32; 3],
    pub(crate) block: [u32; 3],
    pub(crate) shared: u32,
    pub(crate) parameters: Arguments,
    pub(crate) extra: Arguments,
}

/// A kernel node of a graph.
///
/// # Safety
/// The pointer is null, or valid for reads, and so are its lists of arguments.
pub(crate) unsafe fn kernel_node(
    pointer: *const CUDA_KERNEL_NODE_PARAMS,
) -> Result<KernelNode, CUresult> {
    // SAFETY: the caller's promise.
    let node = unsafe { input(pointer) }?;
    Ok(KernelNode {
        function: node.function,
        grid: node.grid,
        block: node.block,
        shared: node.shared,
        parameters: Arguments(node.parameters),
        extra: Arguments(node.extra),
    })
}

/// The stream that 0 means in a variant for per-thread default streams.
pub(crate) fn per_thread(stream: CUstream) -> CUstream {
    match stream.is_null() {
        true => std::ptr::without_provenance_mut(2),
        false => stream,
    }
}

/// Addresses that nothing of this process will have: device pointers then equal
/// no host pointer. Gives where they begin.
pub(crate) fn reserve(size: usize) -> Result<u64, CUresult> {
    let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
    // SAFETY: the system chooses a free place.
    let place = unsafe { mmap_anonymous(std::ptr::null_mut(), size, ProtFlags::empty(), flags) };
    let place = place.map_err(|_| CUresult::CUDA_ERROR_OUT_OF_MEMORY)?;
    Ok(place.expose_provenance() as u64)
}

/// A mark that a child of this process does not have: its page is wiped by fork.
#[derive(Debug)]
pub(crate) struct ForkMark(AtomicPtr<AtomicU32>);

impl ForkMark {
    /// Not set yet.
    pub(crate) const fn new() -> Self {
        Self(AtomicPtr::new(std::ptr::null_mut()))
    }

    /// Sets it in this process.
    pub(crate) fn set(&self) -> Result<(), CUresult> {
        let failed = |_| CUresult::CUDA_ERROR_OUT_OF_MEMORY;
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the system chooses a free place.
        let page =
            unsafe { mmap_anonymous(std::ptr::null_mut(), 4096, protection, MapFlags::PRIVATE) };
        let page = page.map_err(failed)?;
        // SAFETY: the page was mapped just now. Linux has this since 4.14.
        unsafe { madvise(page, 4096, Advice::LinuxWipeOnFork) }.map_err(failed)?;
        let mark: *mut AtomicU32 = page.cast();
        // SAFETY: the page is aligned, zeroed, and never unmapped.
        unsafe { &*mark }.store(1, Ordering::Relaxed);
        self.0.store(mark, Ordering::Release);
        Ok(())
    }

    /// Whether this process set it.
    #[inline]
    pub(crate) fn is_set(&self) -> bool {
        let mark = self.0.load(Ordering::Acquire);
        // SAFETY: null, or a page as `set` made it; in a child of fork, wiped.
        unsafe { mark.as_ref() }.is_some_and(|mark| mark.load(Ordering::Relaxed) == 1)
    }
}
