//! The devices of the domain, and what is kept of them.

use std::ops::Range;
use std::sync::{Arc, LazyLock};

use vgpu_device::{Device, DeviceConfig, STATE_SIZE};
use vgpu_pci::Slot;
use vgpu_pci::capability::PortType;
use vgpu_runtime::{Emulator, Keep, Log};

use super::steps::Steps;
use crate::kept::{Keeper, Kept};
use crate::machine::{Machine, Placed};
use crate::mapping::{Journal, Mapping};

/// Where they are.
pub(crate) const SLOTS: [u8; 3] = [0x18, 0x19, LARGE];

/// The slot of a device whose BAR0 has 64 KiB.
pub(crate) const LARGE: u8 = 0x1a;

/// The log of all devices here. Nobody reads it.
pub(crate) static LOG: LazyLock<Log> = LazyLock::new(|| Log::start("", std::io::sink()).unwrap());

/// Where a device has said that its BAR0 is.
pub(crate) type Told = Option<Range<u64>>;

/// The device of a slot, untouched.
pub(crate) fn new_device(slot: u8) -> Device {
    let mut config = DeviceConfig::default();
    if slot == LARGE {
        config.bar0_size = 0x1_0000.try_into().unwrap();
    }
    Device::new(&config, PortType::RootComplexIntegratedEndpoint)
}

/// The states of devices that nobody has touched.
pub(crate) fn states() -> [[u8; STATE_SIZE]; SLOTS.len()] {
    SLOTS.map(|slot| new_device(slot).save())
}

/// The device of a slot as it goes on from this state, if it can.
pub(crate) fn restored(slot: u8, state: &[u8; STATE_SIZE]) -> Option<(Device, Told)> {
    let (mut device, mut told) = (new_device(slot), None);
    device.restore(state).ok()?.bar0.update(&mut told);
    Some((device, told))
}

/// All of them as a server finds them, and the mappings that were left.
pub(super) fn machine(kept: &Kept, steps: &Steps) -> (Machine, Vec<Mapping>) {
    let (mut placed, mut left) = (Vec::new(), Vec::new());
    for (index, slot) in SLOTS.into_iter().enumerate() {
        let (state, mapping) = kept.device(index);
        let (device, told) = restored(slot, &state).expect("a device keeps what it can take");
        let dying = || Box::new(Dying(kept.keeper(index), steps.clone()));
        let emulator = Emulator::new(device, false, LOG.clone()).with_keep(dying());
        let slot = Slot::try_from(slot).unwrap();
        placed.push(Placed::new(slot, Arc::new(emulator), told, dying()));
        left.push(mapping);
    }
    (Machine::new(placed), left)
}

/// Keeps what the server keeps, and may be the last thing that it does.
#[derive(Debug)]
struct Dying(Keeper, Steps);

impl Keep for Dying {
    fn keep(&mut self, offset: usize, part: &[u8]) {
        self.1.step();
        self.0.keep(offset, part);
        self.1.step();
    }
}

impl Journal for Dying {
    fn note(&mut self, mapping: &Mapping) {
        self.1.step();
        self.0.note(mapping);
        self.1.step();
    }
}
