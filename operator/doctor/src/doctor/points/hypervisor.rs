//! Is the hypervisor new enough, and what does it say?

use vgpu_checklist::{Evidence, Mend, Trouble};

use crate::doctor::subject::{Attachment, Subject};
use crate::doctor::toolstack::Toolstack;

/// The oldest Xen whose interfaces the emulator uses.
const OLDEST_XEN: (u32, u32) = (4, 13);
/// The first QEMU with vfio-user-pci.
const OLDEST_QEMU: (u32, u32) = (10, 1);

pub(super) fn look(subject: &Subject, seen: &mut Evidence) -> Result<(), Trouble> {
    if subject.toolstack != Toolstack::None {
        return xen(subject, seen);
    }
    let Some(machine) = subject.machine() else {
        return Err(Trouble::not_seen(
            "QEMU does not tell its version",
            [Mend::host("qemu-system-x86_64 -version")],
        ));
    };
    let version = machine.version;
    seen.note(format!("QEMU {version}"));
    if subject.attachment == Some(Attachment::VfioUser)
        && (version.major, version.minor) < OLDEST_QEMU
    {
        return Err(Trouble::fault(
            format!("QEMU {version} is too old for vfio-user: 10.1 is the first"),
            [Mend::host(
                "apt-get install -t trixie-backports qemu-system-x86",
            )],
        ));
    }
    Ok(())
}

fn xen(subject: &Subject, seen: &mut Evidence) -> Result<(), Trouble> {
    let part = |name: &str| subject.host.text(format!("/sys/hypervisor/version/{name}"));
    let number = |name| part(name).ok().and_then(|text| text.parse::<u32>().ok());
    let (Some(major), Some(minor)) = (number("major"), number("minor")) else {
        return Err(Trouble::not_seen(
            "/sys/hypervisor/version does not tell Xen's version",
            [Mend::host("xl info | grep xen_version")],
        ));
    };
    let extra = part("extra").unwrap_or_default();
    seen.note(format!("Xen {major}.{minor}{extra}"));
    if (major, minor) < OLDEST_XEN {
        return Err(Trouble::fault(
            format!(
                "Xen {major}.{minor} is too old: 4.13 is the first with what the emulator needs"
            ),
            [Mend::host(
                "xl info | grep xen_version  # after an upgrade of Xen",
            )],
        ));
    }
    let Some(domain) = subject.toolstack.domain() else {
        return Ok(());
    };
    let log = subject.host.run("xl", &["dmesg"]).map_err(|error| {
        Trouble::not_seen(
            format!("xl dmesg: {error}"),
            [Mend::host("sudo xl dmesg | tail -50")],
        )
    })?;
    // As Xen's __domain_crash() writes it.
    let crash = format!("Domain {domain} (vcpu");
    let crashed = |line: &&str| line.contains(&crash) && line.contains("crashed");
    match log.lines().rfind(crashed) {
        None => {
            seen.note(format!("xl dmesg: no crash of domain {domain}"));
            Ok(())
        }
        Some(line) => Err(Trouble::fault(
            line.trim(),
            [Mend::host(format!(
                "xl dmesg | grep -B 20 'Domain {domain} '"
            ))],
        )),
    }
}
