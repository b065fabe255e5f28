//! A device of the machine that this program runs on, a Linux guest.

mod ports;

use std::fmt;
use std::fs::OpenOptions;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

use anyhow::{Context, Result};
use vm_memory::{FileOffset, MmapRegion, VolatileMemory};

use crate::{Error, Target};

pub use ports::{ConfigPorts, Ports};

/// domain:bus:device.function, all hexadecimal. The config ports reach domain
/// 0 alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    bus: u8,
    device: u8,
    function: u8,
}

impl Address {
    /// Another function of the same device.
    #[must_use]
    pub fn with_function(self, function: u8) -> Self {
        Self {
            function: function & 7,
            ..self
        }
    }

    /// Its device number on its bus, 0 to 31.
    #[must_use]
    pub fn device(self) -> u8 {
        self.device
    }

    /// Where Linux has its files.
    #[must_use]
    pub fn sysfs(self) -> PathBuf {
        PathBuf::from(format!("/sys/bus/pci/devices/{self}"))
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (bus, rest) = text.strip_prefix("0000:")?.split_once(':')?;
            let (device, function) = rest.split_once('.')?;
            Some(Self {
                bus: u8::from_str_radix(bus, 16).ok()?,
                device: u8::from_str_radix(device, 16).ok().filter(|d| *d < 32)?,
                function: u8::from_str_radix(function, 16).ok().filter(|f| *f < 8)?,
            })
        };
        parse().ok_or_else(|| "not an address such as 0000:00:05.0".to_owned())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            bus,
            device,
            function,
        } = self;
        write!(f, "0000:{bus:02x}:{device:02x}.{function:x}")
    }
}

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
