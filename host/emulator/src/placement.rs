//! Which slot each of a guest's devices has.

use vgpu_pci::Slot;
use vgpu_terminal::Failure;
use vgpu_xen::PlacedDevice;

use crate::DeviceProperties;

/// The devices, those without a slot in the first free ones from the default one on; one device where none is given.
///
/// # Errors
///
/// Two have the same slot, or there are too many.
pub fn placed(given: &[DeviceProperties]) -> Result<Vec<PlacedDevice>, Failure> {
    if given.is_empty() {
        return Ok(vec![PlacedDevice::default()]);
    }
    let mut taken: Vec<u8> = Vec::new();
    for slot in given.iter().filter_map(|device| device.slot) {
        let slot = slot.into();
        if taken.contains(&slot) {
            return Err(Failure::new(
                format!("two devices have slot {slot:#04x}"),
                "give each device a slot of its own",
            ));
        }
        taken.push(slot);
    }
    let first: u8 = PlacedDevice::default().slot.into();
    let mut free = || {
        let slot = (first..32).find(|slot| !taken.contains(slot))?;
        taken.push(slot);
        Slot::try_from(slot).ok()
    };
    let place = |device: &DeviceProperties| {
        let slot = device.slot.or_else(&mut free).ok_or_else(|| {
            Failure::new(
                "there is no free slot for all devices",
                "give fewer devices, or slots below 0x18",
            )
        })?;
        let config = device.config;
        Ok(PlacedDevice { slot, config })
    };
    given.iter().map(place).collect()
}
