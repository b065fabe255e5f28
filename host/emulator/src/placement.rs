//! Which slot each of a guest's devices has.

use vgpu_device::DeviceConfig;
use vgpu_pci::Slot;
use vgpu_terminal::Failure;

use crate::DeviceProperties;

/// The devices, those without a slot in the first free ones from the default one on; one device where none is given.
///
/// # Errors
///
/// Two have the same slot, or there are too many.
pub fn placed(given: &[DeviceProperties]) -> Result<Vec<DeviceConfig>, Failure> {
    if given.is_empty() {
        return Ok(vec![DeviceConfig::default()]);
    }
    let mut taken: Vec<u8> = Vec::new();
    for device in given.iter().filter(|device| device.places_itself) {
        let slot = device.config.slot.into();
        if taken.contains(&slot) {
            return Err(Failure::new(
                format!("two devices have slot {slot:#04x}"),
                "give each device a slot of its own",
            ));
        }
        taken.push(slot);
    }
    let first: u8 = DeviceConfig::default().slot.into();
    let mut devices = Vec::new();
    for device in given {
        let mut config = device.config;
        if !device.places_itself {
            let free = (first..32).find(|slot| !taken.contains(slot));
            config.slot = free
                .and_then(|slot| Slot::try_from(slot).ok())
                .ok_or_else(|| {
                    Failure::new(
                        "there is no free slot for all devices",
                        "give fewer devices, or slots below 0x18",
                    )
                })?;
            taken.push(config.slot.into());
        }
        devices.push(config);
    }
    Ok(devices)
}
