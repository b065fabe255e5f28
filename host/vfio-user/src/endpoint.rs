//! The device as the protocol's server asks for it.

use std::sync::Arc;

use vfio_user_server::{Device, DmaMap, Errno, InterruptIndex, Interrupts, Region, RegionIndex};
use vgpu_abi::bar0::VECTORS;
use vgpu_device::Effects;
use vgpu_runtime::Emulator;

use crate::maps::Maps;
use crate::shared::Shared;

/// Bytes of config space, of which the model implements the first 256: so the
/// device can sit on a PCI Express bus, where a function has 4096. Clients
/// show 256 on a conventional one.
const CONFIG_SIZE: u64 = 4096;

/// What a client reaches: config space and BAR0.
#[derive(Debug)]
pub struct Endpoint {
    emulator: Arc<Emulator>,
    /// Where the device has features.
    shared: Option<Arc<Shared>>,
    memory: Maps,
}

impl Endpoint {
    /// The device that `emulator` has, for one client after another.
    #[must_use]
    pub fn new(emulator: Arc<Emulator>, shared: Option<Arc<Shared>>) -> Self {
        Self {
            emulator,
            shared,
            memory: Maps::default(),
        }
    }

    /// Does what follows from a change of the device.
    fn act(&self, effects: &Effects) {
        let Effects {
            // The client maps it, by its own copy of config space.
            bar0: _,
            // The model revokes what a guest has shared.
            bus_master: _,
            // The client's own reset, or one that its guest asked for.
            reset: _,
            doorbell,
            request,
            interrupt,
            revoke,
        } = effects;
        let Some(shared) = &self.shared else {
            return;
        };
        if let Some(number) = revoke {
            shared.revoke(*number);
        }
        if *interrupt {
            shared.interrupt();
        }
        if let Some(channel) = doorbell {
            shared.ring(*channel);
        }
        if let Some(request) = request {
            shared.request(*request, &self.memory);
        }
    }

    /// The same, where the client may wait until nobody has the guest's memory any more.
    fn act_and_settle(&self, effects: &Effects) {
        self.act(effects);
        if let Some(shared) = &self.shared {
            shared.settle();
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

    fn interrupt_count(&self, index: InterruptIndex) -> u16 {
        match (index, &self.shared) {
            (InterruptIndex::Msix, Some(_)) => VECTORS,
            _ => 0,
        }
    }

    /// Clients do not reconnect to a device in use, so this is a new VM, which
    /// must find nothing of the last one's.
    fn connected(&mut self, interrupts: &Interrupts) {
        if let Some(shared) = &self.shared {
            shared.set_interrupts(Some(interrupts.clone()));
        }
        self.act(&self.emulator.connected());
    }

    /// The next one finds it reset, and nobody has this one's memory.
    fn disconnected(&mut self) {
        if let Some(shared) = &self.shared {
            shared.set_interrupts(None);
            self.act(&self.emulator.reset());
        }
        self.memory = Maps::default();
    }

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
            RegionIndex::Config => {
                self.act(&self.emulator.config_write(config_offset(offset)?, data));
            }
            RegionIndex::Bar0 => self.act(&self.emulator.bar0_write(offset, data)),
            _ => return Err(Errno::INVAL),
        }
        Ok(())
    }

    /// The machine's reset: its next guest must not meet what the last one had shared.
    fn reset(&mut self) -> Result<(), Errno> {
        self.act_and_settle(&self.emulator.reset());
        Ok(())
    }

    fn dma_mapped(&mut self, map: &DmaMap) -> Result<(), Errno> {
        if self.shared.is_some() {
            self.memory.add(map);
        }
        Ok(())
    }

    /// Where a worker has some of it, the guest loses its channels, and this returns when nobody has it any more.
    fn dma_unmapped(&mut self, map: &DmaMap) {
        self.memory.remove(map);
        let lost = self
            .shared
            .as_ref()
            .is_some_and(|shared| shared.has_memory_in(map.address, map.last()));
        if lost {
            self.act_and_settle(&self.emulator.memory_lost());
        }
    }
}

fn config_offset(offset: u64) -> Result<u16, Errno> {
    u16::try_from(offset).map_err(|_| Errno::INVAL)
}
