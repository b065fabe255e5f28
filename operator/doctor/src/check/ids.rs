//! The ids that a device is checked for.

use std::{fmt, str::FromStr};

use vgpu_device::DeviceConfig;
use vgpu_emulator::number;
use vgpu_pci::PciId;

use super::sysfs::Function;

/// A vendor or device ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Id(pub(super) PciId);

impl FromStr for Id {
    type Err = String;

    /// Takes up to four hexadecimal digits, after 0x or not: lspci writes none.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        number::id_of(digits).map(Self)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}", u16::from(self.0))
    }
}

/// The ids that the device should have.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Ids {
    /// Vendor ID to expect, in hexadecimal
    #[arg(long = "vendor-id", value_name = "ID", default_value_t = Id(DeviceConfig::default().vendor_id))]
    pub(crate) vendor: Id,

    /// Device ID to expect, in hexadecimal
    #[arg(long = "device-id", value_name = "ID", default_value_t = Id(DeviceConfig::default().device_id))]
    pub(crate) device: Id,
}

impl Ids {
    /// Tells whether the kernel found these ids in the function.
    pub(crate) fn match_sysfs(&self, function: &Function<'_>) -> bool {
        let is = |attribute, id: Id| {
            function
                .hex(attribute)
                .is_ok_and(|value| value == u32::from(u16::from(id.0)))
        };
        is("vendor", self.vendor) && is("device", self.device)
    }

    /// Tells whether they are these two.
    pub(crate) fn are(&self, vendor: u16, device: u16) -> bool {
        [self.vendor, self.device].map(|id| u16::from(id.0)) == [vendor, device]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_hexadecimal_ids() {
        for (text, id) in [
            ("1af4", 0x1af4),
            ("0x11E8", 0x11e8),
            ("1", 1),
            ("fffe", 0xfffe),
        ] {
            assert_eq!(text.parse(), Ok(Id(PciId::try_from(id).unwrap())));
        }
    }

    #[test]
    fn refuses_ids_of_nobody() {
        for text in ["0", "ffff", "0x0000", "10000", "", "0x", "xyz", "-1", "+1"] {
            assert!(text.parse::<Id>().is_err(), "{text}");
        }
    }
}
