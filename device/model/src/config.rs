//! What an operator may choose about a device. Values are checked when they
//! are made, so a [`DeviceConfig`] is always valid.

use thiserror::Error;
use vgpu_abi::{bar0, ids};
use vgpu_pci::{BarSize, PciId};

use crate::FeaturesConfig;

/// Identity and BAR0 size of one device. The default is the device as its
/// specification has it: 1af4:1111, revision 1, 4 KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceConfig {
    /// Vendor ID.
    pub vendor_id: PciId,
    /// Device ID.
    pub device_id: PciId,
    /// Subsystem Vendor ID.
    pub subsystem_vendor_id: PciId,
    /// Subsystem ID.
    pub subsystem_id: PciId,
    /// Revision ID; every value is valid.
    pub revision: u8,
    /// Size of BAR0.
    pub bar0_size: Bar0Size,
    /// What it offers beside the specified device; `None` is just that one.
    pub features: Option<FeaturesConfig>,
}

impl Default for DeviceConfig {
    #[expect(clippy::unwrap_used, reason = "constants, covered by a test")]
    fn default() -> Self {
        let id = |id| PciId::try_from(id).unwrap();
        Self {
            vendor_id: id(ids::VENDOR_ID),
            device_id: id(ids::DEVICE_ID),
            subsystem_vendor_id: id(ids::SUBSYSTEM_VENDOR_ID),
            subsystem_id: id(ids::SUBSYSTEM_ID),
            revision: ids::REVISION,
            bar0_size: Bar0Size::try_from(u64::from(bar0::DEFAULT_SIZE)).unwrap(),
            features: None,
        }
    }
}

/// The size of BAR0 in bytes: a power of two from 4 KiB to 16 MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bar0Size(BarSize);

/// The size is no power of two, or out of range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("BAR0 cannot be {0} bytes; use a power of two from 4096 (4K) to 16777216 (16M)")]
pub struct InvalidBar0Size(u64);

impl TryFrom<u64> for Bar0Size {
    type Error = InvalidBar0Size;

    fn try_from(size: u64) -> Result<Self, InvalidBar0Size> {
        u32::try_from(size)
            .ok()
            .filter(|size| (bar0::MIN_SIZE..=bar0::MAX_SIZE).contains(size))
            .and_then(|size| BarSize::try_from(size).ok())
            .map(Self)
            .ok_or(InvalidBar0Size(size))
    }
}

impl Bar0Size {
    /// The size in bytes.
    #[must_use]
    pub const fn bytes(self) -> u32 {
        self.0.bytes()
    }
}

impl From<Bar0Size> for BarSize {
    fn from(size: Bar0Size) -> Self {
        size.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_the_specified_device() {
        let config = DeviceConfig::default();
        assert_eq!(u16::from(config.vendor_id), 0x1af4);
        assert_eq!(u16::from(config.device_id), 0x1111);
        assert_eq!(u16::from(config.subsystem_vendor_id), 0x1af4);
        assert_eq!(u16::from(config.subsystem_id), 0x1111);
        assert_eq!(config.revision, 1);
        assert_eq!(config.bar0_size.bytes(), 0x1000);
        assert_eq!(config.features, None);
    }

    #[test]
    fn bar0_sizes_are_powers_of_two_in_range() {
        for shift in 0..64 {
            let size = 1 << shift;
            let valid = (12..=24).contains(&shift);
            assert_eq!(Bar0Size::try_from(size).is_ok(), valid, "{size:#x}");
            assert!(Bar0Size::try_from(size | 8).is_err(), "{:#x}", size | 8);
        }
        assert!(Bar0Size::try_from(0).is_err());
    }
}
