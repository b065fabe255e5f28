//! A BAR of a PCI function, as a program reaches it: the file `resourceN` of
//! Linux's sysfs, mapped.
//!
//! Linux: `Documentation/PCI/sysfs-pci.rst`.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

use thiserror::Error;
use vm_memory::mmap::MmapRegionError;
use vm_memory::{AtomicInteger, FileOffset, MmapRegion, VolatileMemory};

/// A BAR's memory in this process.
#[derive(Debug)]
pub struct MappedBar(MmapRegion);

/// An access past the BAR's end, not at a multiple of its size, or of a size that
/// is none of 1, 2, 4 and 8 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("there is no access of {size} bytes at offset {offset:#05x} of the BAR")]
pub struct NoAccess {
    offset: usize,
    size: usize,
}

impl MappedBar {
    /// Maps the first `size` bytes of a file `resourceN`, which has to be open for
    /// reading and writing.
    ///
    /// # Errors
    /// The kernel's own: the BAR is smaller, or is no memory.
    pub fn new(file: File, size: usize) -> io::Result<Self> {
        let region = MmapRegion::from_file(FileOffset::new(file, 0), size);
        region.map(Self).map_err(|error| match error {
            MmapRegionError::Mmap(error) => error,
            error => io::Error::other(error),
        })
    }

    /// Reads by one load of 1, 2, 4 or 8 bytes.
    ///
    /// # Errors
    /// [`NoAccess`]
    pub fn read(&self, offset: usize, size: usize) -> Result<u64, NoAccess> {
        match size {
            1 => self.load::<AtomicU8>(offset),
            2 => self.load::<AtomicU16>(offset),
            4 => self.load::<AtomicU32>(offset),
            8 => self.load::<AtomicU64>(offset),
            _ => Err(NoAccess { offset, size }),
        }
    }

    /// Writes by one store of 1, 2, 4 or 8 bytes, the low ones of the value.
    ///
    /// # Errors
    /// [`NoAccess`]
    pub fn write(&self, offset: usize, size: usize, value: u64) -> Result<(), NoAccess> {
        match size {
            1 => self.store::<AtomicU8>(offset, value as u8),
            2 => self.store::<AtomicU16>(offset, value as u16),
            4 => self.store::<AtomicU32>(offset, value as u32),
            8 => self.store::<AtomicU64>(offset, value),
            _ => Err(NoAccess { offset, size }),
        }
    }

    /// The register of 4 bytes at an offset, for who accesses it time and again.
    ///
    /// # Errors
    /// [`NoAccess`]
    pub fn register(&self, offset: usize) -> Result<&AtomicU32, NoAccess> {
        self.cell(offset)
    }

    // Relaxed is a plain load or store, which the compiler neither splits nor
    // merges. A stronger order may be a read and a write in one, which is more than
    // the device was asked for.
    fn load<T: AtomicInteger<V: Into<u64>>>(&self, offset: usize) -> Result<u64, NoAccess> {
        Ok(self.cell::<T>(offset)?.load(Ordering::Relaxed).into())
    }

    fn store<T: AtomicInteger>(&self, offset: usize, value: T::V) -> Result<(), NoAccess> {
        self.cell::<T>(offset)?.store(value, Ordering::Relaxed);
        Ok(())
    }

    fn cell<T: AtomicInteger>(&self, offset: usize) -> Result<&T, NoAccess> {
        let size = size_of::<T>();
        let cell = self.0.get_atomic_ref(offset);
        cell.map_err(|_| NoAccess { offset, size })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accesses_have_the_size_that_was_asked_for_or_are_none() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(4096).unwrap();
        let bar = MappedBar::new(file, 4096).unwrap();
        bar.write(0x10, 8, 0x1122_3344_5566_7788).unwrap();
        for (offset, size, value) in [
            (0x10, 1, 0x88),
            (0x12, 2, 0x5566),
            (0x14, 4, 0x1122_3344),
            (0x10, 8, 0x1122_3344_5566_7788),
        ] {
            assert_eq!(bar.read(offset, size), Ok(value));
        }
        bar.write(0x11, 1, 0xfff).unwrap();
        bar.write(0x16, 2, 0).unwrap();
        assert_eq!(bar.read(0x10, 8), Ok(0x0000_3344_5566_ff88));
        bar.register(0x10).unwrap().store(7, Ordering::Relaxed);
        assert_eq!(bar.read(0x10, 4), Ok(7));
        for (offset, size) in [
            (4096, 1),
            (4095, 2),
            (1, 2),
            (2, 4),
            (4, 8),
            (0, 3),
            (0, 16),
        ] {
            let none = Err(NoAccess { offset, size });
            assert_eq!(bar.read(offset, size), none);
            assert_eq!(bar.write(offset, size, 1).map(|()| 0), none);
        }
        assert!(bar.register(4094).is_err());
    }

    #[test]
    fn the_kernels_reason_is_told() {
        let file = File::options().read(true).write(true).open("/dev/null");
        let error = MappedBar::new(file.unwrap(), 4096).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(19), "ENODEV: {error}");
    }
}
