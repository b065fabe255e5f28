//! Is there anything on this host that can be the device?

use std::env;
use std::path::{Path, PathBuf};

use vgpu_checklist::{Evidence, Mend, Trouble};
use vgpu_terminal::shell::quoted;
use vgpu_xcp_ng::Uuid;
use vgpu_xl::device_model::QEMUS;
use vgpu_xl::xl_config::DEVICE_MODEL;

use crate::doctor::arguments::{OWN, VFIO_USER};
use crate::doctor::subject::{Attachment, Subject};
use crate::doctor::toolstack::Toolstack;
use crate::doctor::xl;

pub(super) fn look(subject: &Subject, seen: &mut Evidence) -> Result<(), Trouble> {
    match (&subject.toolstack, subject.attachment) {
        (Toolstack::Xl { .. }, Some(Attachment::Xen)) => xl(subject, seen),
        (Toolstack::XcpNg { uuid, .. }, Some(Attachment::Xen)) => kit(subject, uuid, seen),
        _ => match subject.told() {
            Some((greeting, _)) => {
                seen.note(format!("vgpu-stub {} answers", greeting.version));
                Ok(())
            }
            None => qemu(subject, seen),
        },
    }
}

/// The kit of XCP-ng, each part of which a VM with the device needs.
fn kit(subject: &Subject, uuid: &Uuid, seen: &mut Evidence) -> Result<(), Trouble> {
    let problems = vgpu_xcp_ng::problems(&subject.host.path("/"));
    if problems.is_empty() {
        seen.note("the kit for XCP-ng is whole");
        return Ok(());
    }
    // Also over a package that lacks files.
    let package = concat!(
        "vgpu-stub-xcp-ng-",
        env!("CARGO_PKG_VERSION"),
        "-1.x86_64.rpm"
    );
    Err(Trouble::fault(
        format!(
            "the kit for XCP-ng is not whole on this host: {}",
            problems.join(", ")
        ),
        [
            Mend::host(format!("rpm --upgrade --replacepkgs ./{package}")),
            Mend::host(format!("vgpu-stub xcp enable {uuid}")),
        ],
    ))
}

/// What the VM's configuration names, or where it belongs.
fn xl(subject: &Subject, seen: &mut Evidence) -> Result<(), Trouble> {
    let configured = xl::config(subject).ok().and_then(xl::device_model);
    let path = configured.filter(|path| path.contains("vgpu-stub"));
    program(subject, path.unwrap_or(DEVICE_MODEL), seen)?;
    emulator(subject)?;
    match QEMUS.iter().find(|path| subject.host.is_program(path)) {
        Some(qemu) => seen.note(format!("the real QEMU: {qemu}")),
        None => {
            return Err(Trouble::fault(
                "there is no QEMU for Xen where distributions put it",
                [Mend::host("apt-get install qemu-system-xen")],
            ));
        }
    }
    Ok(())
}

/// A link to this program, with the name by which it knows what to be.
fn program(subject: &Subject, path: &str, seen: &mut Evidence) -> Result<(), Trouble> {
    if subject.host.is_program(path) {
        seen.note(path);
        return Ok(());
    }
    let own = env::current_exe().unwrap_or_else(|_| "/usr/bin/vgpu-stub".into());
    let folder = Path::new(path).parent().unwrap_or(Path::new("/"));
    let (own, folder, link) = (quoted(own), quoted(folder), quoted(path));
    Err(Trouble::fault(
        format!("{path} is no program"),
        [Mend::host(format!(
            "mkdir -p {folder} && ln -sf {own} {link}"
        ))],
    ))
}

/// What the device model starts.
fn emulator(subject: &Subject) -> Result<(), Trouble> {
    let is_there = |place: &PathBuf| subject.host.is_program(place);
    if vgpu_emulator::places().iter().any(is_there) {
        return Ok(());
    }
    let place = vgpu_emulator::INSTALLED;
    Err(Trouble::fault(
        format!("{place} is no program, and serves the device"),
        [Mend::host(format!(
            "install -D -m 755 vgpu-emulator {place}  # it comes with vgpu-stub"
        ))],
    ))
}

/// QEMU tells which devices it has.
fn qemu(subject: &Subject, seen: &mut Evidence) -> Result<(), Trouble> {
    let of = |has: &dyn Fn(&str) -> bool| -> Vec<&str> {
        let known = [OWN, VFIO_USER].into_iter();
        known.filter(|name| has(name)).collect()
    };
    let (found, who) = match subject.machine() {
        Some(machine) => {
            let who = format!("QEMU {}", machine.version);
            (of(&|name| machine.has_type(name)), who)
        }
        None => {
            let program = match &subject.qemu {
                Some(qemu) => format!("/proc/{}/exe", qemu.pid),
                None => "qemu-system-x86_64".into(),
            };
            let listed = subject.host.run(&program, &["-device", "help"]);
            let listed = listed.map_err(|error| {
                Trouble::not_seen(
                    format!("{program} -device help: {error}"),
                    [Mend::host(
                        "qemu-system-x86_64 -device help | grep vgpu-stub",
                    )],
                )
            })?;
            let named = |name: &str| listed.contains(&format!("name \"{name}\""));
            (of(&named), program)
        }
    };
    if found.is_empty() {
        return Err(Trouble::fault(
            format!("{who} has neither the device {OWN} nor {VFIO_USER} (QEMU 10.1 or later)"),
            [Mend::host(
                "cargo xtask qemu  # prints the path of a QEMU to start the VM with",
            )],
        ));
    }
    seen.note(format!("{who} has {}", found.join(" and ")));
    Ok(())
}
