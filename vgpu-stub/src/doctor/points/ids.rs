//! Are the ids right, and nobody else's?

use crate::check::identity::Ids;
use crate::check::report::Evidence;
use crate::doctor::finding::{Mend, Trouble};
use crate::doctor::function::Function;
use crate::doctor::subject::Subject;
use crate::doctor::text::this_command;

pub(super) fn look(subject: &Subject, seen: &mut Evidence) -> Result<(), Trouble> {
    let ids = &subject.ids;
    let ours = subject.functions()?;
    for function in &ours {
        let Function {
            address,
            vendor,
            device,
            ..
        } = function;
        if !ids.are(*vendor, *device) {
            return Err(Trouble::fault(
                format!(
                    "{address} is {vendor:04x}:{device:04x}, not {ids}: no driver for {ids} finds it"
                ),
                // Right where these ids are meant.
                [Mend::host(this_command(&format!(
                    "--vendor-id {vendor:04x} --device-id {device:04x}"
                )))],
            ));
        }
        seen.note(format!("{address}: {vendor:04x}:{device:04x}"));
    }
    let Some(machine) = subject.machine() else {
        return Ok(());
    };
    match conflict(&machine.functions, &ours, ids) {
        None => Ok(()),
        Some(other) => Err(Trouble::fault(
            format!(
                "{} at {} has the same ids {ids}",
                other.driver, other.address
            ),
            [Mend::guest(format!("lspci -nn -d {ids}"))],
        )),
    }
}

/// A function that has the ids and is none of ours.
fn conflict<'a>(all: &'a [Function], ours: &[Function], ids: &Ids) -> Option<&'a Function> {
    let has = |it: &&Function| ids.are(it.vendor, it.device);
    let is_ours = |it: &Function| ours.iter().any(|own| own.address == it.address);
    all.iter().find(|it| has(it) && !is_ours(it))
}
