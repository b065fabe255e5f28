//! Criteria 2, 3 and 4: vendor ID, device ID and class.

use std::fmt;

use vgpu_abi::ids;
use vgpu_checklist::Evidence;
use vgpu_pci::offset;
use vgpu_terminal::{Failure, OrMend};

use super::ids::{Id, Ids};
use super::sysfs::Function;

const UNREADABLE: &str = "see that sysfs is mounted and the device is still attached";

impl Ids {
    /// Criterion 2.
    pub(crate) fn check_vendor(
        &self,
        function: &Function<'_>,
        evidence: &mut Evidence,
    ) -> Result<(), Failure> {
        check_id(function, "vendor", offset::VENDOR_ID, self.vendor, evidence)
    }

    /// Criterion 3.
    pub(crate) fn check_device(
        &self,
        function: &Function<'_>,
        evidence: &mut Evidence,
    ) -> Result<(), Failure> {
        check_id(function, "device", offset::DEVICE_ID, self.device, evidence)
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
    let [low, middle, high] = config.bytes(offset::CLASS_CODE).or_mend(UNREADABLE)?;
    let seen = format!(
        "sysfs class {sysfs:#08x}, config {:#04x}: {low:02x} {middle:02x} {high:02x}",
        offset::CLASS_CODE
    );
    let class = u32::from_le_bytes([low, middle, high, 0]);
    if sysfs != ids::CLASS_CODE || class != ids::CLASS_CODE {
        let class = ids::CLASS_CODE;
        return Err(Failure::new(format!("{seen}, not {class:#08x}"), MEND));
    }
    evidence.note(seen);

    let byte = config.u8(offset::REVISION_ID).or_mend(UNREADABLE)?;
    let seen = format!("sysfs revision {revision:#04x}, config 0x08: {byte:02x}");
    if revision != u32::from(byte) {
        return Err(Failure::new(format!("{seen}: they differ"), MEND));
    }
    evidence.note(seen);
    Ok(())
}
