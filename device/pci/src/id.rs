//! Numbers that name a function: ids and the slot it sits in.

use thiserror::Error;

/// A vendor, device or subsystem id: any 16-bit value but 0x0000 and 0xFFFF.
///
/// Operating systems take 0xFFFF (what an absent function answers) and 0x0000
/// for "nothing here": Linux `pci_bus_generic_read_dev_vendor_id()`, PCI 3.0
/// section 6.2.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PciId(u16);

/// The id would hide the function from its guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("id {0:#06x} means \"no device here\" to a guest; use 0x0001 to 0xfffe")]
pub struct InvalidPciId(u16);

impl TryFrom<u16> for PciId {
    type Error = InvalidPciId;

    fn try_from(id: u16) -> Result<Self, InvalidPciId> {
        match id {
            0x0000 | 0xffff => Err(InvalidPciId(id)),
            _ => Ok(Self(id)),
        }
    }
}

impl From<PciId> for u16 {
    fn from(id: PciId) -> Self {
        id.0
    }
}

/// The device number on its bus, 0 to 31.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot(u8);

/// A bus has 32 device numbers (PCI 3.0 section 3.2.2.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("slot {0:#04x} does not exist on a PCI bus; use 0x00 to 0x1f")]
pub struct InvalidSlot(u8);

impl TryFrom<u8> for Slot {
    type Error = InvalidSlot;

    fn try_from(slot: u8) -> Result<Self, InvalidSlot> {
        if slot < 32 {
            Ok(Self(slot))
        } else {
            Err(InvalidSlot(slot))
        }
    }
}

impl From<Slot> for u8 {
    fn from(slot: Slot) -> Self {
        slot.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_mean_absent_are_refused() {
        for id in 0..=u16::MAX {
            assert_eq!(
                PciId::try_from(id).is_ok(),
                id != 0 && id != 0xffff,
                "{id:#06x}"
            );
        }
    }

    #[test]
    fn slots_end_at_31() {
        for slot in 0..=u8::MAX {
            assert_eq!(Slot::try_from(slot).is_ok(), slot <= 31, "{slot:#04x}");
        }
    }
}
