//! The memory of a BAR, mapped into this process.

use std::{
    fs::File,
    sync::atomic::{AtomicU32, Ordering},
};

use anyhow::{Context, Result};
use vm_memory::mmap::MmapRegionError;
use vm_memory::{FileOffset, MmapRegion, VolatileMemory};

pub(crate) struct MappedBar {
    region: MmapRegion,
}

impl MappedBar {
    /// Maps the first `size` bytes of a sysfs file `resourceN`.
    pub(crate) fn new(file: File, size: usize) -> Result<Self> {
        let region = MmapRegion::from_file(FileOffset::new(file, 0), size);
        let region = region.map_err(|error| match error {
            // The kernel's own reason.
            MmapRegionError::Mmap(error) => error.into(),
            error => anyhow::Error::from(error),
        });
        let region = region.context("cannot map the BAR")?;
        Ok(Self { region })
    }

    /// Reads a register by one aligned access of 4 bytes.
    pub(crate) fn read(&self, offset: usize) -> Result<u32> {
        Ok(self.register(offset)?.load(Ordering::Acquire))
    }

    /// Writes a register by one aligned access of 4 bytes.
    pub(crate) fn write(&self, offset: usize, value: u32) -> Result<()> {
        self.register(offset)?.store(value, Ordering::Release);
        Ok(())
    }

    // Acquire and release are plain loads and stores, which the compiler
    // neither splits nor merges. Any stronger order may be a read and a write
    // in one, which is more than the device was asked for.
    fn register(&self, offset: usize) -> Result<&AtomicU32> {
        self.region
            .get_atomic_ref(offset)
            .with_context(|| format!("no register at BAR0 offset {offset:#05x}"))
    }
}
