//! Criteria 2, 3 and 4: vendor ID, device ID and class.

use std::{fmt, str::FromStr};

use vgpu_abi::ids;
use vgpu_device::DeviceConfig;
use vgpu_emulator::number;
use vgpu_pci::PciId;
use vgpu_terminal::{Failure, OrMend};

use super::{config, report::Evidence, sysfs::Function};

const UNREADABLE: &str = "see that sysfs is mounted and the device is still attached";

/// A vendor or device ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Id(PciId);

impl FromStr for Id {
    type Err = String;

    /// Takes up to four hexadecimal digits, after 0x or not. 0000 and ffff
    /// are nobody's ids.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        number::digits_of(digits, 16)
            .and_then(|id| PciId::try_from(u16::try_from(id).ok()?).ok())
            .map(Self)
            .ok_or_else(|| "expected a hexadecimal number from 0001 to fffe".into())
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

    /// Criterion 2.
    pub(crate) fn check_vendor(
        &self,
        function: &Function<'_>,
        evidence: &mut Evidence,
    ) -> Result<(), Failure> {
        check_id(function, "vendor", config::VENDOR_ID, self.vendor, evidence)
    }

    /// Criterion 3.
    pub(crate) fn check_device(
        &self,
        function: &Function<'_>,
        evidence: &mut Evidence,
    ) -> Result<(), Failure> {
        check_id(function, "device", config::DEVICE_ID, self.device, evidence)
    }
}

impl fmt::Display for Ids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.vendor, self.device)
    }
}

/// Looks at an id in sysfs and in config space.
fn check_id(
    function: &Function<'_>,
    attribute: &str,
    offset: u16,
    id: Id,
    evidence: &mut Evidence,
) -> Result<(), Failure> {
    let sysfs = function.hex(attribute).or_mend(UNREADABLE)?;
    let config = function.config().or_mend(UNREADABLE)?;
    let bytes: [u8; 2] = config.bytes(offset).or_mend(UNREADABLE)?;
    let seen = format!(
        "sysfs {attribute} {sysfs:#06x}, config {offset:#04x}: {:02x} {:02x}",
        bytes[0], bytes[1]
    );
    let wanted = u16::from(id.0);
    if sysfs != u32::from(wanted) || u16::from_le_bytes(bytes) != wanted {
        return Err(Failure::new(
            format!("{seen}, not {id}"),
            format!("attach the device with this id, or name another by --{attribute}-id"),
        ));
    }
    evidence.note(seen);
    Ok(())
}

/// Criterion 4: processing accelerators, in place of the VGA class.
pub(crate) fn check_class(function: &Function<'_>, evidence: &mut Evidence) -> Result<(), Failure> {
    const MEND: &str = "attach a vgpu-stub device: its class is fixed, no option changes it";

    let sysfs = function.hex("class").or_mend(UNREADABLE)?;
    let revision = function.hex("revision").or_mend(UNREADABLE)?;
    let config = function.config().or_mend(UNREADABLE)?;
    let [low, middle, high] = config.bytes(config::CLASS).or_mend(UNREADABLE)?;
    let seen = format!(
        "sysfs class {sysfs:#08x}, config {:#04x}: {low:02x} {middle:02x} {high:02x}",
        config::CLASS
    );
    let class = u32::from_le_bytes([low, middle, high, 0]);
    if sysfs != ids::CLASS_CODE || class != ids::CLASS_CODE {
        let class = ids::CLASS_CODE;
        return Err(Failure::new(format!("{seen}, not {class:#08x}"), MEND));
    }
    evidence.note(seen);

    let byte = config.u8(config::REVISION).or_mend(UNREADABLE)?;
    let seen = format!("sysfs revision {revision:#04x}, config 0x08: {byte:02x}");
    if revision != u32::from(byte) {
        return Err(Failure::new(format!("{seen}: they differ"), MEND));
    }
    evidence.note(seen);
    Ok(())
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
