//! Does anybody answer where the device's config space should be?

use vgpu_checklist::{Evidence, Mend, Place, Trouble};
use vgpu_pci::PciId;

use crate::doctor::subject::Subject;

pub(super) fn look(subject: &Subject, seen: &mut Evidence) -> Result<(), Trouble> {
    let functions = subject.functions()?;
    if functions.is_empty() {
        return Err(Trouble::fault(
            "the device is not on the VM's PCI bus: the guest has ejected it",
            [Mend::on(Place::QemuArguments, "-device vgpu-stub")],
        ));
    }
    for function in &functions {
        let (vendor, device) = (function.vendor, function.device);
        let what = format!("{}: {vendor:04x}:{device:04x}", function.address);
        if PciId::try_from(vendor).is_err() {
            return Err(Trouble::fault(
                format!("{what}: nobody answers"),
                super::class::mends(subject),
            ));
        }
        match function.driver.as_str() {
            "" => seen.note(what),
            driver => seen.note(format!("{what}, {driver}")),
        }
    }
    Ok(())
}
