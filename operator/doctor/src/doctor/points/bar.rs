//! Has the device its BAR, and can the guest reach it?

use vgpu_abi::bar0;
use vgpu_checklist::{Evidence, Mend, Trouble};

use crate::doctor::function::{Bar, Function, Mapping};
use crate::doctor::subject::Subject;
use crate::doctor::toolstack::Toolstack;

/// Registers that hold what the guest wrote, so hardly all ones together.
const REGISTERS: [u64; 2] = [bar0::COMMAND, bar0::REQUEST_ID];

pub(super) fn look(subject: &Subject, seen: &mut Evidence) -> Result<(), Trouble> {
    for function in &subject.functions()? {
        look_at(subject, function, seen)?;
    }
    Ok(())
}

fn look_at(subject: &Subject, function: &Function, seen: &mut Evidence) -> Result<(), Trouble> {
    let address = &function.address;
    let broken = |cause: String| Trouble::fault(cause, super::class::mends(subject));
    let Some(Bar {
        is_memory,
        size,
        mapping,
    }) = function.bar0
    else {
        return Err(broken(format!("{address} has no BAR 0")));
    };
    if !is_memory {
        return Err(broken(format!("{address}: BAR 0 is not memory")));
    }
    let at = match mapping {
        Mapping::At(at) => at,
        Mapping::Nowhere => {
            let ids = &subject.ids;
            return Err(Trouble::fault(
                format!(
                    "{address}: BAR 0 is not mapped: the guest has memory decode off, or gave it no address"
                ),
                [Mend::guest(format!("setpci -d {ids} COMMAND=2:2"))],
            ));
        }
        Mapping::NotTold => {
            return Err(Trouble::not_seen(
                format!("{address}: BAR 0 of {size} bytes; the control socket does not tell where"),
                [Mend::guest("vgpu-stub doctor --guest")],
            ));
        }
    };
    if !size.is_power_of_two() || size < u64::from(bar0::MIN_SIZE) {
        return Err(broken(format!("{address}: BAR 0 has {size} bytes")));
    }
    seen.note(format!("{address}: {size} bytes of memory at {at:#x}"));
    match subject.machine() {
        Some(machine) if subject.toolstack == Toolstack::None => {
            let values = REGISTERS.map(|register| machine.read(at + register));
            if values
                .iter()
                .all(|value| matches!(value, Ok(None | Some(u32::MAX))))
            {
                return Err(broken(format!(
                    "{address}: BAR 0 at {at:#x} does not answer"
                )));
            }
            seen.note("its registers answer");
        }
        _ => {}
    }
    Ok(())
}
