//! The bare model as a target: what an attachment that adds nothing would be.

use std::ops::Range;

use vgpu_device::{Device, DeviceConfig};
use vgpu_pci::capability::PortType;

use crate::{Error, Target};

/// A device and the addresses that its BAR0 decodes.
#[derive(Debug)]
pub struct Model {
    device: Device,
    mapping: Option<Range<u64>>,
}

/// Where the model's BAR0 stands at first, and where it may move.
const HOME: u32 = 0xf000_0000;
const SPARE: u32 = 0xe000_0000;

impl Model {
    /// A device as firmware leaves it: BAR0 placed, memory decode on.
    #[must_use]
    pub fn new(config: &DeviceConfig, port_type: impl Into<Option<PortType>>) -> Self {
        let mut model = Self {
            device: Device::new(config, port_type),
            mapping: None,
        };
        model.write_config(0x10, &HOME.to_le_bytes());
        model.write_config(0x04, &[0x02]);
        model
    }

    fn write_config(&mut self, offset: u16, data: &[u8]) {
        let effects = self.device.config_write(offset, data);
        effects.bar0.update(&mut self.mapping);
    }

    /// The guest-physical address of an offset in BAR0, if the BAR stands
    /// where its register says and decodes.
    fn decoded(&self, offset: u64) -> Result<(), Error> {
        let mut bar = [0; 4];
        self.device.config_read(0x10, &mut bar);
        let address = u64::from(u32::from_le_bytes(bar)) + offset;
        match &self.mapping {
            Some(range) if range.contains(&address) => Ok(()),
            mapped => Err(Error::Access(format!(
                "address {address:#x} is outside what BAR0 decodes: {mapped:x?}"
            ))),
        }
    }
}

impl Target for Model {
    fn config_read(&mut self, offset: u16, size: usize) -> Result<u32, Error> {
        let mut data = [0; 4];
        self.device.config_read(offset, &mut data[..size]);
        Ok(u32::from_le_bytes(data))
    }

    fn config_write(&mut self, offset: u16, size: usize, value: u32) -> Result<(), Error> {
        self.write_config(offset, &value.to_le_bytes()[..size]);
        Ok(())
    }

    fn bar0_read(&mut self, offset: u64, size: usize) -> Result<u64, Error> {
        self.decoded(offset)?;
        Ok(self.device.bar0_read(offset, size).unwrap_or(0))
    }

    fn bar0_write(&mut self, offset: u64, size: usize, value: u64) -> Result<(), Error> {
        self.decoded(offset)?;
        let _ = self.device.bar0_write(offset, size, value);
        Ok(())
    }

    fn spare_address(&self) -> Option<u32> {
        Some(SPARE)
    }

    fn set_status(&mut self, status: u32) -> Option<Result<(), Error>> {
        // The device has no features, so there is no driver that Status belongs to.
        let _ = self.device.set_status(status);
        Some(Ok(()))
    }
}
