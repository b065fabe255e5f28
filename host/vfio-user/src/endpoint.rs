//! The device as the protocol's server asks for it.

use std::sync::Arc;

use vfio_user_server::{Device, Errno, Interrupts, Region, RegionIndex};
use vgpu_device::{BarMapping, Effects};
use vgpu_runtime::Emulator;

/// Bytes of config space, of which the model implements the first 256: so the
/// device can sit on a PCI Express bus, where a function has 4096. Clients
/// show 256 on a conventional one.
const CONFIG_SIZE: u64 = 4096;

/// What a client reaches: config space and BAR0.
#[derive(Debug)]
pub struct Endpoint {
    emulator: Arc<Emulator>,
    /// Whether the guest lets the device answer in BAR0. QEMU asks it also
    /// after a function level reset, of which QEMU's own copy of the Command
    /// register knows nothing.
    decoded: bool,
}

impl Endpoint {
    /// The device that `emulator` has, for one client after another.
    #[must_use]
    pub fn new(emulator: Arc<Emulator>) -> Self {
        Self {
            emulator,
            decoded: false,
        }
    }
}

impl Device for Endpoint {
    fn region(&self, index: RegionIndex) -> Region {
        match index {
            RegionIndex::Config => Region::new(CONFIG_SIZE),
            RegionIndex::Bar0 => Region::new(self.emulator.bar0_size().into()),
            _ => Region::ABSENT,
        }
    }

    /// Clients do not reconnect to a device in use, so this is a new VM, which
    /// must find nothing of the last one's.
    fn connected(&mut self, _: &Interrupts) {
        let effects = self.emulator.connected();
        self.act(effects);
    }

    fn read(&mut self, region: RegionIndex, offset: u64, data: &mut [u8]) -> Result<(), Errno> {
        match region {
            RegionIndex::Config => self.emulator.config_read(config_offset(offset)?, data),
            RegionIndex::Bar0 if self.decoded => self.emulator.bar0_read(offset, data),
            // As nobody answers on the bus.
            RegionIndex::Bar0 => data.fill(0xff),
            _ => return Err(Errno::INVAL),
        }
        Ok(())
    }

    fn write(&mut self, region: RegionIndex, offset: u64, data: &[u8]) -> Result<(), Errno> {
        match region {
            RegionIndex::Config => {
                let effects = self.emulator.config_write(config_offset(offset)?, data);
                self.act(effects);
            }
            RegionIndex::Bar0 if self.decoded => {
                let effects = self.emulator.bar0_write(offset, data);
                self.act(effects);
            }
            RegionIndex::Bar0 => {}
            _ => return Err(Errno::INVAL),
        }
        Ok(())
    }

    fn reset(&mut self) -> Result<(), Errno> {
        let effects = self.emulator.reset();
        self.act(effects);
        Ok(())
    }
}

impl Endpoint {
    /// Does what follows from a change of the device.
    fn act(&mut self, effects: Effects) {
        let Effects {
            // The client maps it, by its own copy of config space.
            bar0,
            // It reaches no guest memory.
            bus_master: _,
            // The client's own reset, or one that its guest asked for.
            reset: _,
        } = effects;
        if bar0 != BarMapping::Untouched {
            self.decoded = self.emulator.memory_decoded();
        }
    }
}

fn config_offset(offset: u64) -> Result<u16, Errno> {
    u16::try_from(offset).map_err(|_| Errno::INVAL)
}
