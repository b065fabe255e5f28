//! What a QEMU says of itself.

use std::path::Path;

use vgpu_terminal::Failure;

use crate::program::Programs;

/// How `--version` of every QEMU begins.
const VERSION: &str = "QEMU emulator version ";

/// How `-device help` lists the device.
const DEVICE: &str = "name \"vgpu-stub\"";

/// The accelerator without which a QEMU is no device model for Xen.
const XEN: &str = "xen";

/// Machines that toolstacks of Xen name: xl, by Xen's
/// tools/libs/light/libxl_dm.c, and XCP-ng, by xen-api's
/// ocaml/xenopsd/scripts/qemu-wrapper.
const MACHINES: [&str; 5] = ["xenfv", "xenpv", "xenpvh", "pc-0.10", "pc-i440fx-2.10"];

/// A QEMU, by its own words.
#[derive(Debug)]
pub(crate) struct Facts {
    /// Its first line of `--version`.
    pub(crate) version: String,
    pub(crate) has_device: bool,
    has_xen: bool,
    /// Those of its machines that a toolstack may name.
    machines: Vec<String>,
}

impl Facts {
    /// Asks a QEMU.
    ///
    /// # Errors
    ///
    /// It does not answer, or it is no QEMU.
    pub(crate) fn of(qemu: &Path, programs: &Programs) -> Result<Self, String> {
        let version = version(qemu, programs)?;
        let ask = |question: &str| {
            programs
                .output(qemu, &[question, "help"])
                .map_err(|cause| format!("{question} help: {cause}"))
        };
        let machines = ask("-machine")?;
        let machines = machines
            .lines()
            .filter_map(|line| line.split_whitespace().next())
            .filter(|machine| MACHINES.contains(machine))
            .map(str::to_owned);
        Ok(Self {
            version,
            has_device: ask("-device")?.contains(DEVICE),
            has_xen: ask("-accel")?
                .split(|c: char| !c.is_alphanumeric())
                .any(|word| word == XEN),
            machines: machines.collect(),
        })
    }

    /// Refuses a QEMU that may not take the place of `old`.
    ///
    /// # Errors
    ///
    /// It lacks the device, or Xen where `old` has it.
    pub(crate) fn may_replace(&self, old: &Self) -> Result<(), Failure> {
        if !self.has_device {
            return Err(Failure::new(
                format!("the new QEMU ({}) does not have vgpu-stub", self.version),
                "build one that has it: cargo xtask qemu",
            ));
        }
        if !old.has_xen {
            return Ok(());
        }
        if !self.has_xen {
            return Err(Failure::new(
                "the new QEMU has no xen accelerator, and the old one does: no VM of Xen would start",
                "build it with Xen: cargo xtask qemu --xen, or configure --enable-xen",
            ));
        }
        let lost: Vec<&str> = old
            .machines
            .iter()
            .filter(|machine| !self.machines.contains(machine))
            .map(String::as_str)
            .collect();
        if !lost.is_empty() {
            return Err(Failure::new(
                format!(
                    "the new QEMU lacks machines that the old one has and toolstacks name: {}",
                    lost.join(", ")
                ),
                "build it from the source of the old one, with the same options",
            ));
        }
        Ok(())
    }
}

/// The first line of a QEMU's `--version`.
///
/// # Errors
///
/// It does not answer, or it is no QEMU.
pub(crate) fn version(qemu: &Path, programs: &Programs) -> Result<String, String> {
    let said = programs.output(qemu, &["--version"])?;
    let line = said.lines().next().unwrap_or("").trim();
    if !line.starts_with(VERSION) || line.chars().any(char::is_control) {
        return Err("it is no QEMU: --version does not begin with 'QEMU emulator version'".into());
    }
    Ok(line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(has_device: bool, has_xen: bool, machines: &[&str]) -> Facts {
        Facts {
            version: "QEMU emulator version 1".into(),
            has_device,
            has_xen,
            machines: machines.iter().map(|&machine| machine.into()).collect(),
        }
    }

    #[test]
    fn a_qemu_may_replace_one_that_has_no_more_than_it() {
        let new = facts(true, true, &["xenfv", "xenpv", "pc-0.10"]);
        new.may_replace(&facts(false, true, &["xenpv"])).unwrap();
        // Without Xen, its machines are those of no toolstack of Xen.
        facts(true, false, &[])
            .may_replace(&facts(false, false, &["pc-i440fx-2.10"]))
            .unwrap();
    }

    #[test]
    fn what_would_be_lost_is_named() {
        let old = facts(false, true, &["xenfv", "pc-0.10"]);
        for (new, cause) in [
            (
                facts(false, true, &["xenfv", "pc-0.10"]),
                "does not have vgpu-stub",
            ),
            (
                facts(true, false, &["xenfv", "pc-0.10"]),
                "no xen accelerator",
            ),
            (facts(true, true, &["xenfv"]), "toolstacks name: pc-0.10"),
            (facts(true, true, &[]), "toolstacks name: xenfv, pc-0.10"),
        ] {
            let refused = new.may_replace(&old).unwrap_err();
            assert!(refused.cause.contains(cause), "{}", refused.cause);
        }
    }
}
