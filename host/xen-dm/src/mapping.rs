//! Pages that another party writes to as well.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::os::fd::AsFd;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use crate::abi::PAGE_SIZE;

/// Both parties read and write.
const ACCESS: ProtFlags = ProtFlags::READ.union(ProtFlags::WRITE);

/// A page of address space for a file of Xen's to map something into.
#[derive(Debug)]
pub(crate) struct Page {
    start: NonNull<u8>,
}

// SAFETY: the page belongs to the process, not to a thread; it is reached by
// atomic accesses alone.
unsafe impl Send for Page {}
// SAFETY: as above.
unsafe impl Sync for Page {}

impl Page {
    /// A page that belongs to `file`. Until something is mapped into it, an
    /// access faults, so whoever makes one maps something or drops it.
    pub(crate) fn reserve(file: impl AsFd) -> Result<Self, Errno> {
        // SAFETY: a new mapping at an address of the kernel's choice touches
        // no memory that is in use.
        let start = unsafe {
            mmap(
                ptr::null_mut(),
                PAGE_SIZE,
                ACCESS,
                MapFlags::SHARED,
                file,
                0,
            )
        }?;
        Self::at(start)
    }

    /// A page of memory that nobody else has.
    #[cfg(test)]
    pub(crate) fn private() -> Self {
        let flags = MapFlags::PRIVATE;
        // SAFETY: as above.
        let start =
            unsafe { rustix::mm::mmap_anonymous(ptr::null_mut(), PAGE_SIZE, ACCESS, flags) };
        Self::at(start.unwrap()).unwrap()
    }

    fn at(start: *mut c_void) -> Result<Self, Errno> {
        let start = NonNull::new(start.cast()).ok_or(Errno::NOMEM)?;
        Ok(Self { start })
    }

    /// The address of the first byte.
    pub(crate) fn address(&self) -> u64 {
        self.start.as_ptr() as u64
    }

    /// The first byte.
    pub(crate) fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// The bytes, each of which another party may change at any time.
    pub(crate) fn bytes(&self) -> &[AtomicU8; PAGE_SIZE] {
        // SAFETY: the page is mapped, readable and writable, for as long as
        // `self` lives; atomics may be shared with other writers.
        unsafe { self.start.cast().as_ref() }
    }

    /// Copies bytes out of the page; none where they are not all in it.
    pub(crate) fn read(&self, offset: usize, data: &mut [u8]) {
        let bytes = self.bytes().get(offset..).unwrap_or_default();
        if bytes.len() >= data.len() {
            for (to, from) in data.iter_mut().zip(bytes) {
                *to = from.load(Relaxed);
            }
        }
    }

    /// Copies bytes into the page; none where they are not all in it.
    pub(crate) fn write(&self, offset: usize, data: &[u8]) {
        let bytes = self.bytes().get(offset..).unwrap_or_default();
        if bytes.len() >= data.len() {
            for (to, from) in bytes.iter().zip(data) {
                to.store(*from, Relaxed);
            }
        }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: the mapping is this page's own, and nothing borrows from it.
        let unmapped = unsafe { munmap(self.start.as_ptr().cast(), PAGE_SIZE) };
        debug_assert!(unmapped.is_ok(), "{unmapped:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_whole_or_not_at_all() {
        let page = Page::private();
        page.write(PAGE_SIZE - 4, &[1, 2, 3, 4]);
        page.write(PAGE_SIZE - 3, &[9, 9, 9, 9]);
        page.write(PAGE_SIZE + 1, &[9]);
        let mut data = [7; 4];
        page.read(PAGE_SIZE - 4, &mut data);
        assert_eq!(data, [1, 2, 3, 4]);
        for (offset, length) in [(PAGE_SIZE - 3, 4), (PAGE_SIZE, 1), (usize::MAX, 1)] {
            let mut data = [7; 4];
            page.read(offset, &mut data[..length]);
            assert_eq!(data, [7; 4]);
        }
    }
}
