//! Are the ids right, and nobody else's?

use vgpu_checklist::{Evidence, Mend, Trouble};
use vgpu_terminal::shell::this_command;

use crate::check::ids::Ids;
use crate::doctor::function::Function;
use crate::doctor::subject::Subject;

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

#[cfg(test)]
mod tests {
    use clap::{Args, FromArgMatches};

    use super::*;

    #[test]
    fn another_device_with_the_ids_is_a_conflict() {
        let command = Ids::augment_args(clap::Command::new("doctor"));
        let ids = Ids::from_arg_matches(&command.get_matches_from(["doctor"])).unwrap();
        let function = |address: &str, driver: &str, device| Function {
            address: address.into(),
            driver: driver.into(),
            vendor: 0x1af4,
            device,
            class: None,
            bar0: None,
        };
        let own = function("00:05.0", "vgpu-stub", 0x1111);
        let disk = function("00:06.0", "virtio-blk-pci", 0x1001);
        let twin = function("00:07.0", "other", 0x1111);
        let mut all = vec![own.clone(), disk];
        assert_eq!(conflict(&all, std::slice::from_ref(&own), &ids), None);
        all.push(twin.clone());
        assert_eq!(conflict(&all, &[own], &ids), Some(&twin));
    }
}
