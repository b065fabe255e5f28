//! Which slot of bus 0 each of a domain's devices has.

use thiserror::Error;
use vgpu_device::DeviceConfig;
use vgpu_pci::Slot;

/// Why devices cannot be where they are to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PlacementError {
    /// There are more devices than slots from the default one on.
    #[error("there is no free slot for all devices")]
    NoFreeSlot,
    /// Two devices have one slot.
    #[error("two devices have slot {0:#04x}")]
    SlotTwice(u8),
}

impl PlacementError {
    /// What to do about it, in one line.
    #[must_use]
    pub fn mend(&self) -> &'static str {
        match self {
            Self::NoFreeSlot => "give fewer devices, or slots below 0x18",
            Self::SlotTwice(_) => "give each device a slot of its own",
        }
    }
}

/// A device of a domain. The default is the device as its specification has it, in
/// slot 0x18: nothing else sits there in the VMs of Xen and XCP-ng.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlacedDevice {
    /// Its slot on bus 0.
    pub slot: Slot,
    /// What it is.
    pub config: DeviceConfig,
}

const DEFAULT_SLOT: u8 = 0x18;

impl Default for PlacedDevice {
    #[expect(clippy::unwrap_used, reason = "a constant, covered by a test")]
    fn default() -> Self {
        Self {
            slot: Slot::try_from(DEFAULT_SLOT).unwrap(),
            config: DeviceConfig::default(),
        }
    }
}

impl PlacedDevice {
    /// Gives each device a slot: those without one the first free ones from the default one on. One device where none is
    /// given.
    ///
    /// # Errors
    ///
    /// Two have the same slot, or there are too many.
    pub fn place(given: &[(Option<Slot>, DeviceConfig)]) -> Result<Vec<Self>, PlacementError> {
        if given.is_empty() {
            return Ok(vec![Self::default()]);
        }
        let mut taken: Vec<Slot> = given.iter().filter_map(|(slot, _)| *slot).collect();
        all_differ(&taken)?;
        let mut free = (DEFAULT_SLOT..=u8::MAX).map_while(|slot| Slot::try_from(slot).ok());
        let place = |&(slot, config): &(Option<Slot>, DeviceConfig)| {
            let slot = slot.or_else(|| free.find(|slot| !taken.contains(slot)));
            let slot = slot.ok_or(PlacementError::NoFreeSlot)?;
            taken.push(slot);
            Ok(Self { slot, config })
        };
        given.iter().map(place).collect()
    }
}

/// Sees that no two devices have the same slot.
pub(crate) fn all_differ(slots: &[Slot]) -> Result<(), PlacementError> {
    let twice = |(at, slot): &(usize, &Slot)| slots.iter().take(*at).any(|other| other == *slot);
    match slots.iter().enumerate().find(twice) {
        Some((_, slot)) => Err(PlacementError::SlotTwice((*slot).into())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(slots: &[Option<u8>]) -> Result<Vec<u8>, PlacementError> {
        let device = |slot: &Option<u8>| {
            let slot = slot.map(|slot| Slot::try_from(slot).unwrap());
            (slot, DeviceConfig::default())
        };
        let placed = PlacedDevice::place(&slots.iter().map(device).collect::<Vec<_>>())?;
        Ok(placed
            .into_iter()
            .map(|device| device.slot.into())
            .collect())
    }

    #[test]
    fn devices_without_a_slot_get_the_first_free_ones() {
        assert_eq!(place(&[]).unwrap(), [0x18]);
        assert_eq!(place(&[None, None]).unwrap(), [0x18, 0x19]);
        let some = [None, Some(0x18), None, Some(0x1a), Some(3)];
        assert_eq!(place(&some).unwrap(), [0x19, 0x18, 0x1b, 0x1a, 3]);
        assert_eq!(place(&[None; 8]).unwrap().last(), Some(&0x1f));
    }

    #[test]
    fn slots_end() {
        assert_eq!(place(&[None; 9]), Err(PlacementError::NoFreeSlot));
        let twice = place(&[Some(3), None, Some(3)]);
        assert_eq!(twice, Err(PlacementError::SlotTwice(3)));
    }
}
