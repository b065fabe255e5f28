//! A device of the machine that this program runs on, a Linux guest.

mod address;
mod ports;

use std::fs::OpenOptions;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

use anyhow::{Context, Result};
use vm_memory::{FileOffset, MmapRegion, VolatileMemory};

use crate::{Error, Target};

pub use address::Address;
pub use ports::{ConfigPorts, Ports};

/// The device: its config space by ports, its BAR0 mapped.
#[derive(Debug)]
pub struct Guest {
    config: ConfigPorts,
    bar0: MmapRegion,
}

impl Guest {
    /// Enables the device and maps its BAR0.
    ///
    /// # Errors
    ///
    /// There is no such device, its BAR0 is smaller, or this is not root.
    pub fn open(address: Address, bar0_size: u32) -> Result<Self> {
        let device = address.sysfs();
        std::fs::write(device.join("enable"), "1")
            .with_context(|| format!("{address} cannot be enabled; is it there, are you root?"))?;
        let resource = device.join("resource0");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&resource)
            .with_context(|| format!("{} cannot be opened", resource.display()))?;
        let bar0 = MmapRegion::from_file(FileOffset::new(file, 0), usize::try_from(bar0_size)?)
            .with_context(|| format!("{} cannot be mapped", resource.display()))?;
        Ok(Self {
            config: ConfigPorts::open(address)
                .context("the ports 0xCF8 to 0xCFF are closed to this program; run it as root")?,
            bar0,
        })
    }
}

/// The mapping has no room for the access: the suite and the device disagree
/// on BAR0's size.
fn outside(error: &vm_memory::VolatileMemoryError) -> Error {
    Error::Access(error.to_string())
}

impl Target for Guest {
    fn config_read(&mut self, offset: u16, size: usize) -> Result<u32, Error> {
        self.config.read(offset, size).ok_or_else(|| no_size(size))
    }

    fn config_write(&mut self, offset: u16, size: usize, value: u32) -> Result<(), Error> {
        self.config
            .write(offset, size, value)
            .ok_or_else(|| no_size(size))
    }

    fn bar0_read(&mut self, offset: u64, size: usize) -> Result<u64, Error> {
        let at = offset as usize;
        // One load of exactly this size, which a copy does not promise.
        macro_rules! load {
            ($atomic:ty) => {
                self.bar0
                    .get_atomic_ref::<$atomic>(at)
                    .map(|cell| cell.load(Ordering::Relaxed).into())
                    .map_err(|error| outside(&error))
            };
        }
        match size {
            1 => load!(AtomicU8),
            2 => load!(AtomicU16),
            4 => load!(AtomicU32),
            8 => load!(AtomicU64),
            _ => Err(no_size(size)),
        }
    }

    fn bar0_write(&mut self, offset: u64, size: usize, value: u64) -> Result<(), Error> {
        let at = offset as usize;
        macro_rules! store {
            ($atomic:ty, $type:ty) => {
                self.bar0
                    .get_atomic_ref::<$atomic>(at)
                    .map(|cell| cell.store(value as $type, Ordering::Relaxed))
                    .map_err(|error| outside(&error))
            };
        }
        match size {
            1 => store!(AtomicU8, u8),
            2 => store!(AtomicU16, u16),
            4 => store!(AtomicU32, u32),
            8 => store!(AtomicU64, u64),
            _ => Err(no_size(size)),
        }
    }
}

fn no_size(size: usize) -> Error {
    Error::Access(format!("there is no access of {size} bytes"))
}
