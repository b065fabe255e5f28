//! A device of the machine that this program runs on, a Linux guest.

mod address;
mod ports;

use std::fs::OpenOptions;

use anyhow::{Context, Result};
use vgpu_bar::{MappedBar, NoAccess};

use crate::{Error, Target};

pub use address::Address;
pub use ports::{ConfigPorts, Ports};

/// The device: its config space by ports, its BAR0 mapped.
#[derive(Debug)]
pub struct Guest {
    config: ConfigPorts,
    bar0: MappedBar,
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
        let bar0 = MappedBar::new(file, usize::try_from(bar0_size)?)
            .with_context(|| format!("{} cannot be mapped", resource.display()))?;
        Ok(Self {
            config: ConfigPorts::open(address)
                .context("the ports 0xCF8 to 0xCFF are closed to this program; run it as root")?,
            bar0,
        })
    }
}

/// Where it is past the end, the suite and the device disagree on BAR0's size.
fn none(error: NoAccess) -> Error {
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
        self.bar0.read(offset as usize, size).map_err(none)
    }

    fn bar0_write(&mut self, offset: u64, size: usize, value: u64) -> Result<(), Error> {
        let written = self.bar0.write(offset as usize, size, value);
        written.map_err(none)
    }
}

fn no_size(size: usize) -> Error {
    Error::Access(format!("there is no access of {size} bytes"))
}
