//! The device as the protocol's server asks for it.

use std::sync::Arc;

use vfio_user_server::{Device, DmaMap, Errno, InterruptIndex, Interrupts, Region, RegionIndex};
use vgpu_device::Effects;
use vgpu_runtime::Emulator;

/// Bytes of config space, of which the model implements the first 256: so the
/// device can sit on a PCI Express bus, where a function has 4096. Clients
/// show 256 on a conventional one.
const CONFIG_SIZE: u64 = 4096;

/// What a client reaches: config space and BAR0.
#[derive(Debug)]
pub struct Endpoint {
    emulator: Arc<Emulator>,
}

impl Endpoint {
    /// The device that `emulator` has, for one client after another.
    #[must_use]
    pub fn new(emulator: Arc<Emulator>) -> Self {
        Self { emulator }
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

    fn interrupt_count(&self, _: InterruptIndex) -> u16 {
        0
    }

    /// Clients do not reconnect to a device in use, so this is a new VM, which
    /// must find nothing of the last one's.
    fn connected(&mut self, _: &Interrupts) {
        act(&self.emulator.connected());
    }

    /// The next one finds it reset.
    fn disconnected(&mut self) {}

    fn read(&mut self, region: RegionIndex, offset: u64, data: &mut [u8]) -> Result<(), Errno> {
        match region {
            RegionIndex::Config => self.emulator.config_read(config_offset(offset)?, data),
            // QEMU asks also where the guest has it answer nothing, as after a function level reset, of which QEMU's own
            // copy of the Command register knows nothing.
            RegionIndex::Bar0 => self.emulator.bar0_read(offset, data),
            _ => return Err(Errno::INVAL),
        }
        Ok(())
    }

    fn write(&mut self, region: RegionIndex, offset: u64, data: &[u8]) -> Result<(), Errno> {
        match region {
            RegionIndex::Config => act(&self.emulator.config_write(config_offset(offset)?, data)),
            RegionIndex::Bar0 => act(&self.emulator.bar0_write(offset, data)),
            _ => return Err(Errno::INVAL),
        }
        Ok(())
    }

    fn reset(&mut self) -> Result<(), Errno> {
        act(&self.emulator.reset());
        Ok(())
    }

    // It reaches no guest memory.
    fn dma_mapped(&mut self, _: &DmaMap) -> Result<(), Errno> {
        Ok(())
    }

    fn dma_unmapped(&mut self, _: &DmaMap) {}
}

/// Does what follows from a change of the device: nothing yet.
fn act(effects: &Effects) {
    let Effects {
        // The client maps it, by its own copy of config space.
        bar0: _,
        // It reaches no guest memory.
        bus_master: _,
        // The client's own reset, or one that its guest asked for.
        reset: _,
        // The device has none yet.
        doorbell: _,
    } = effects;
}

fn config_offset(offset: u64) -> Result<u16, Errno> {
    u16::try_from(offset).map_err(|_| Errno::INVAL)
}
