//! Memory that two processes share, seen as atomic words.
//!
//! This is the one place that maps it. Everything above works on
//! `&[AtomicU64]`, so a value that the other process changes is a value that
//! may be anything, and nothing worse.

mod anonymous;
mod assemble;
mod piece;

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use rustix::mm::{Advice, MapFlags, ProtFlags};
use vgpu_ring::Memory;

pub use piece::Piece;

/// Why memory cannot be shared.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused.
    #[error("cannot map shared memory: {0}")]
    System(#[from] rustix::io::Errno),
    /// The other side could cut the memory off, which would end this process.
    #[error("shared memory is not sealed against shrinking")]
    NotSealed,
    /// It is empty, not of whole pages, or smaller than stated.
    #[error("shared memory of {size} bytes where {wanted} were stated")]
    Size {
        /// What the descriptor says.
        size: u64,
        /// What was expected.
        wanted: usize,
    },
    /// A file is none that lies in memory alone.
    #[error("file {file} is no memory file")]
    NotMemory {
        /// Its place among the files.
        file: usize,
    },
    /// A piece is empty, not of whole pages, or not in its file.
    #[error("piece {piece} is not in its file")]
    Piece {
        /// Its place among the pieces.
        piece: usize,
    },
    /// The pieces are not so long together, or there is none.
    #[error("pieces of memory that are not {wanted} bytes together")]
    Length {
        /// What was stated.
        wanted: u64,
    },
}

/// A mapping of a sealed memory file, or of memory in no file. Clones are the same mapping.
/// A mapping of memory files. Clones are the same mapping.
#[derive(Clone)]
pub struct Window {
    mapping: Arc<Mapping>,
}

struct Mapping {
    base: NonNull<AtomicU64>,
    words: usize,
}

// SAFETY: the memory belongs to the mapping, which stays where it is until it is
// dropped, and is only reached through atomic words and `copy`.
#[allow(unsafe_code)]
unsafe impl Send for Mapping {}
// SAFETY: as above.
#[allow(unsafe_code)]
unsafe impl Sync for Mapping {}

impl Window {
    /// Makes a memory file of `len` bytes that stays as long as it is, and maps
    /// it. It has no name in any file system.
    ///
    /// # Errors
    /// `len` is no multiple of 4096, or 0; the system has no room.
    pub fn create(len: usize) -> Result<(OwnedFd, Self), Error> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let memory = memfd_create(c"vgpu", flags)?;
        ftruncate(&memory, len as u64)?;
        let seals = SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
        fcntl_add_seals(&memory, seals)?;
        let window = Self::map(memory.as_fd(), len)?;
        Ok((memory, window))
    }

    /// Maps `len` bytes of a memory file, from its start.
    ///
    /// # Errors
    /// The file is not sealed against shrinking, or shorter than `len`; `len` is
    /// no multiple of 4096, or 0; the system has no room.
    #[allow(unsafe_code)]
    pub fn map(memory: BorrowedFd<'_>, len: usize) -> Result<Self, Error> {
        if !rustix::fs::fcntl_get_seals(memory)?.contains(SealFlags::SHRINK) {
            return Err(Error::NotSealed);
        }
        let size = rustix::fs::fstat(memory)?.st_size.cast_unsigned();
        if len == 0 || !len.is_multiple_of(4096) || size < len as u64 {
            return Err(Error::Size { size, wanted: len });
        }
        // SAFETY: the system chooses a free place.
        let base = unsafe {
            rustix::mm::mmap(
                std::ptr::null_mut(),
                len,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                memory,
                0,
            )
        }?;
        let base = NonNull::new(base.cast()).ok_or(rustix::io::Errno::NOMEM)?;
        // SAFETY: the range was mapped just now, and nothing else knows of it.
        Ok(unsafe { Self::of(base, len) })
    }

    /// Maps `len` bytes at an offset of a device's file, whose driver keeps them for as long as they are mapped.
    ///
    /// # Errors
    /// The driver has no such memory; the system has no room.
    #[allow(unsafe_code)]
    pub fn of_device(device: BorrowedFd<'_>, offset: u64, len: usize) -> Result<Self, Error> {
        let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        let place = std::ptr::null_mut();
        // SAFETY: the system chooses a free place.
        let base = unsafe { rustix::mm::mmap(place, len, access, flags, device, offset) }?;
        let base = NonNull::new(base.cast()).ok_or(rustix::io::Errno::NOMEM)?;
        // SAFETY: the range was mapped just now, and nothing else knows of it.
        Ok(unsafe { Self::of(base, len) })
    }

    /// Takes a mapping of `len` bytes.
    ///
    /// # Safety
    /// All of the range is mapped for reading and writing, from the start of a page on, and the caller gives it up.
    #[allow(unsafe_code)]
    unsafe fn of(base: NonNull<AtomicU64>, len: usize) -> Self {
        // A child of this process has no part in the session.
        // SAFETY: the range is mapped, by the caller's promise.
        let kept = unsafe { rustix::mm::madvise(base.as_ptr().cast(), len, Advice::LinuxDontFork) };
        debug_assert!(kept.is_ok());
        let words = len / 8;
        Self {
            mapping: Arc::new(Mapping { base, words }),
        }
    }

    /// Unmaps it, where this is its last clone.
    ///
    /// # Errors
    /// There are others: it is as it was.
    pub fn unmap(self) -> Result<(), Self> {
        let last = Arc::try_unwrap(self.mapping).map(drop);
        last.map_err(|mapping| Self { mapping })
    }

    /// Its length in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.mapping.words * 8
    }

    /// Where a range of it lies, if all of the range is in it.
    fn range(&self, offset: usize, len: usize) -> Option<NonNull<u8>> {
        let inside = offset.checked_add(len)? <= self.size();
        // SAFETY: the offset is within the mapping.
        #[allow(unsafe_code)]
        inside.then(|| unsafe { self.mapping.base.cast::<u8>().add(offset) })
    }
}

impl Memory for Window {
    type Word = AtomicU64;

    #[inline]
    #[allow(unsafe_code)]
    fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping has that many words, is aligned to pages, and
        // lives as long as `self`. Any bits are a valid AtomicU64, which others
        // may change.
        unsafe { std::slice::from_raw_parts(self.mapping.base.as_ptr(), self.mapping.words) }
    }

    fn read(&self, offset: usize, into: &mut [u8]) -> bool {
        let from = self.range(offset, into.len());
        if let Some(from) = from {
            // SAFETY: both are valid for that many bytes; a mapping and a
            // private buffer do not overlap.
            #[allow(unsafe_code)]
            unsafe {
                copy(from.as_ptr(), into.as_mut_ptr(), into.len());
            }
        }
        from.is_some()
    }

    fn write(&self, offset: usize, from: &[u8]) -> bool {
        let to = self.range(offset, from.len());
        if let Some(to) = to {
            // SAFETY: as in `read`.
            #[allow(unsafe_code)]
            unsafe {
                copy(from.as_ptr(), to.as_ptr(), from.len());
            }
        }
        to.is_some()
    }
}

/// Copies bytes that another process may change meanwhile. One instruction of
/// the processor's does it, of which the compiler assumes nothing.
///
/// # Safety
/// `from` is valid for reads and `to` for writes of `len` bytes; they do not
/// overlap.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[allow(unsafe_code)]
unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: the caller's promise; the direction flag is clear on entry.
    unsafe {
        std::arch::asm!(
            "rep movsb",
            inout("rcx") len => _,
            inout("rsi") from => _,
            inout("rdi") to => _,
            options(nostack, preserves_flags)
        );
    }
}

/// As above, byte by byte.
///
/// # Safety
/// As above.
#[cfg(not(all(target_arch = "x86_64", not(miri))))]
#[allow(unsafe_code)]
unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
    for n in 0..len {
        // SAFETY: the caller's promise.
        let byte = unsafe { from.add(n).read_volatile() };
        // SAFETY: the caller's promise.
        let place = unsafe { to.add(n) };
        // SAFETY: the caller's promise.
        unsafe { place.write_volatile(byte) };
    }
}

impl Drop for Mapping {
    #[allow(unsafe_code)]
    fn drop(&mut self) {
        // SAFETY: it was mapped with this length, and nothing refers to it.
        let _ = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), self.words * 8) };
    }
}

impl fmt::Debug for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Window")
            .field("size", &self.size())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    fn memory(size: u64, seals: SealFlags) -> OwnedFd {
        let file = memfd_create("test", MemfdFlags::ALLOW_SEALING).unwrap();
        ftruncate(&file, size).unwrap();
        fcntl_add_seals(&file, seals).unwrap();
        file
    }

    #[test]
    fn two_mappings_are_the_same_memory() {
        let file = memory(8192, SealFlags::SHRINK);
        let one = Window::map(file.as_fd(), 8192).unwrap();
        let other = Window::map(file.as_fd(), 4096).unwrap();
        one.words()[511].store(0x0807_0605_0403_0201, Ordering::Relaxed);
        let mut bytes = [0; 5];
        assert!(other.read(4096 - 6, &mut bytes));
        assert_eq!(bytes, [3, 4, 5, 6, 7]);
        assert!(other.write(4096 - 7, &[9, 9]));
        assert_eq!(
            one.words()[511].load(Ordering::Relaxed),
            0x0807_0605_0409_0901
        );
        assert!(!other.read(4096 - 4, &mut bytes));
        assert!(!other.write(usize::MAX, &[0]));
    }

    #[test]
    fn what_could_vanish_is_not_mapped() {
        let open = memory(4096, SealFlags::GROW);
        assert!(matches!(
            Window::map(open.as_fd(), 4096),
            Err(Error::NotSealed)
        ));
        let short = memory(4096, SealFlags::SHRINK);
        for len in [0, 100, 8192] {
            let mapped = Window::map(short.as_fd(), len);
            assert!(matches!(mapped, Err(Error::Size { .. })), "{len}");
        }
    }
}
