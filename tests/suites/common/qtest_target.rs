//! A device reached without a guest.

use anyhow::Result;
use vgpu_bed::machine::Machine;
use vgpu_bed::qtest::PciAddress;
use vgpu_conformance::{Error, Target};

use super::Place;

pub(crate) const SPARE: u32 = 0xfe20_0000;
pub(crate) const HOME: u32 = 0xfe40_0000;

/// A machine's device, reached by QEMU's qtest in place of a CPU.
pub(crate) struct QtestTarget {
    pub(crate) machine: Machine,
    address: PciAddress,
    set_status: Option<SetStatus>,
}

/// How the host's side sets the Status register.
type SetStatus = Box<dyn FnMut(&mut Machine, u32) -> Result<()>>;

impl QtestTarget {
    /// Does what firmware would: opens the way to the device, places BAR0.
    pub(crate) fn new(mut machine: Machine, place: Place) -> Result<Self> {
        let function = |bus, device| PciAddress {
            bus,
            device,
            function: 0,
        };
        let qtest = machine.qtest()?;
        let address = match place {
            Place::Pc | Place::Q35 => function(0, 5),
            Place::RootPort | Place::PcBridge | Place::Q35Bridge => {
                let mut port = qtest.config_ports(function(0, 4));
                port.write(0x18, 4, 0x0001_0100)?; // buses: primary 0, secondary 1
                port.write(0x20, 4, 0xfe50_fe20)?; // memory window 0xfe200000..0xfe600000
                port.write(0x04, 2, 0x0006)?; // memory, bus master
                function(1, if place == Place::RootPort { 0 } else { 5 })
            }
        };
        let mut config = qtest.config_ports(address);
        config.write(0x10, 4, HOME)?;
        config.write(0x04, 2, 0x0002)?;
        Ok(Self {
            machine,
            address,
            set_status: None,
        })
    }

    /// Gives the suite a way to set the Status register.
    pub(crate) fn with_status(
        self,
        set: impl FnMut(&mut Machine, u32) -> Result<()> + 'static,
    ) -> Self {
        Self {
            set_status: Some(Box::new(set)),
            ..self
        }
    }

    fn bar0(&mut self) -> Result<u64, Error> {
        Ok(self.config_read(0x10, 4)?.into())
    }
}

fn access(error: impl Into<anyhow::Error>) -> Error {
    Error::Access(format!("{:#}", error.into()))
}

impl Target for QtestTarget {
    fn config_read(&mut self, offset: u16, size: usize) -> Result<u32, Error> {
        let offset = u8::try_from(offset).map_err(access)?;
        let qtest = self.machine.qtest().map_err(access)?;
        qtest
            .config_ports(self.address)
            .read(offset, size)
            .map_err(access)
    }

    fn config_write(&mut self, offset: u16, size: usize, value: u32) -> Result<(), Error> {
        let offset = u8::try_from(offset).map_err(access)?;
        let qtest = self.machine.qtest().map_err(access)?;
        qtest
            .config_ports(self.address)
            .write(offset, size, value)
            .map_err(access)
    }

    fn bar0_read(&mut self, offset: u64, size: usize) -> Result<u64, Error> {
        let address = self.bar0()? + offset;
        let qtest = self.machine.qtest().map_err(access)?;
        qtest.memory_read(address, size).map_err(access)
    }

    fn bar0_write(&mut self, offset: u64, size: usize, value: u64) -> Result<(), Error> {
        let address = self.bar0()? + offset;
        let qtest = self.machine.qtest().map_err(access)?;
        qtest.memory_write(address, size, value).map_err(access)
    }

    fn spare_address(&self) -> Option<u32> {
        Some(SPARE)
    }

    fn set_status(&mut self, status: u32) -> Option<Result<(), Error>> {
        let set = self.set_status.as_mut()?;
        Some(set(&mut self.machine, status).map_err(access))
    }
}
