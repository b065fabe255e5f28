//! What was logged about the device, where this kind of host logs.

use std::collections::HashSet;
use std::path::PathBuf;

use crate::check::report::Evidence;
use crate::doctor::arguments;
use crate::doctor::finding::{Mend, Trouble};
use crate::doctor::process::Process;
use crate::doctor::subject::Subject;
use crate::doctor::toolstack::Toolstack;
use crate::shell::quoted;
use crate::xen::device_model::NAME;

/// A line is about the device if it has one of these, in lower case …
const OURS: [&str; 3] = ["vgpu", "vfio-user", "vfio_user"];

/// … and a complaint if it has one of these too.
const COMPLAINTS: [&str; 7] = [
    "error",
    "fail",
    "cannot",
    "refused",
    "again and again",
    "gives up",
    "not a valid",
];

/// What a program goes on after is none.
const WARNING: &str = "warning:";

/// A log, and the lines of it that are this VM's.
struct Log {
    path: PathBuf,
    /// None for all of them.
    marks: Option<Vec<String>>,
}

pub(super) fn look(subject: &Subject, seen: &mut Evidence) -> Result<(), Trouble> {
    let logs = logs(subject);
    let mut read = 0;
    for Log { path, marks } in &logs {
        let Ok(text) = subject.host.log(path) else {
            continue;
        };
        read += 1;
        let is_the_vms = |line: &&str| {
            let marked = |marks: &Vec<String>| marks.iter().any(|mark| line.contains(mark));
            marks.as_ref().is_none_or(marked)
        };
        let lines = || text.lines().filter(is_the_vms);
        if let Some(line) = lines().rfind(|line| is_complaint(line)) {
            let path = quoted(path);
            return Err(Trouble::fault(
                line.trim(),
                [Mend::host(format!(
                    "grep -iE '^error:|vgpu|vfio.user' {path} | tail -n 50"
                ))],
            ));
        }
        let count = lines().count();
        seen.note(format!("{}: {count} lines, no complaint", path.display()));
    }
    if read > 0 {
        return Ok(());
    }
    let pid = subject.qemu.iter().chain(&subject.emulators).next();
    let journal = match pid {
        Some(process) => format!("journalctl _PID={}", process.pid),
        None => "journalctl --grep vgpu".into(),
    };
    let tried: Vec<String> = logs
        .iter()
        .map(|log| log.path.display().to_string())
        .collect();
    let tried = if tried.is_empty() {
        "no process of this VM logs to a file".to_owned()
    } else {
        format!("cannot read {}", tried.join(", "))
    };
    Err(Trouble::not_seen(tried, [Mend::host(journal)]))
}

/// Where QEMU and the emulator of this VM log.
fn logs(subject: &Subject) -> Vec<Log> {
    let mut logs = match &subject.toolstack {
        Toolstack::Xl { name, .. } => vec![format!("/var/log/xen/qemu-dm-{name}.log").into()],
        Toolstack::XcpNg { domain, .. } => return vec![syslog(subject, *domain)],
        Toolstack::None => own_logs(subject),
    };
    // An emulator that was started by hand may log elsewhere.
    for process in subject.qemu.iter().chain(&subject.emulators) {
        logs.extend(process.descriptor(&subject.host, 2));
    }
    // A pipe or a terminal is none that can be read again.
    logs.retain(|path: &PathBuf| path.starts_with("/") && !path.starts_with("/dev"));
    // One file may have several names.
    let mut seen = HashSet::new();
    logs.retain(|path| match subject.host.path(path).canonicalize() {
        Ok(file) => seen.insert(file),
        Err(_) => true,
    });
    let whole = |path| Log { path, marks: None };
    logs.into_iter().map(whole).collect()
}

/// QEMU's wrapper on XCP-ng, and the units of systemd, log to syslog.
fn syslog(subject: &Subject, domain: Option<u16>) -> Log {
    let domain = domain.map_or_else(|| "?".into(), |domain| domain.to_string());
    let mut marks = tags(&format!("qemu-dm-{domain}"), subject.qemu.as_slice());
    marks.extend(tags(&format!("vgpu-stub-xen@{domain}"), &subject.emulators));
    if subject.emulators.is_empty() {
        marks.push(format!("domain {domain}:"));
    }
    Log {
        path: "/var/log/daemon.log".into(),
        marks: Some(marks),
    }
}

/// What lines of these processes have. Without a process an earlier domain's
/// may have it too: the log is older than the host's last start, and domains
/// are numbered anew by each.
fn tags(name: &str, processes: &[Process]) -> Vec<String> {
    if processes.is_empty() {
        return vec![format!("{name}[")];
    }
    let tag = |process: &Process| format!("{name}[{}]:", process.pid);
    processes.iter().map(tag).collect()
}

/// What QEMU's arguments name, and what libvirt keeps.
fn own_logs(subject: &Subject) -> Vec<PathBuf> {
    let Some(qemu) = &subject.qemu else {
        return Vec::new();
    };
    let libvirts = arguments::name(qemu).map(|name| format!("/var/log/libvirt/qemu/{name}.log"));
    let libvirts = libvirts.filter(|path| subject.host.exists(path));
    let named = qemu.value("-D").map(PathBuf::from);
    named
        .into_iter()
        .chain(libvirts.map(PathBuf::from))
        .collect()
}

fn is_complaint(line: &str) -> bool {
    let line = line.to_lowercase();
    // As xl's device model, this program prints a failure so.
    if line.starts_with("error: ") {
        return true;
    }
    // QEMU in its place begins its lines with the name that it was started by.
    let line = line.trim_start_matches(&format!("{NAME}: "));
    let has = |words: &[&str]| words.iter().any(|word| line.contains(word));
    has(&OURS) && has(&COMPLAINTS) && !line.contains(WARNING)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_about_the_device_alone() {
        for line in [
            "qemu-system-x86_64: -device vgpu-stub: 'vgpu-stub' is not a valid device model name",
            "vgpu-stub: refused write of 4 bytes at BAR0 + 0x400",
            "error: there is no domain 999",
            "error: the process that answers the guest of domain 1 dies again and again; its device is gone",
        ] {
            assert!(is_complaint(line), "{line}");
        }
        for line in [
            "vgpu-stub: client connected",
            "vgpu-stub-device-model: failed to create 'console' device '0': declining",
            "vgpu-stub: the process that answers the guest has died; starting another",
            "qemu-system-x86_64: warning: vfio vfio-user:/run/a: Could not enable error recovery for the device",
            "qemu-system-x86_64: cannot set up KVM",
        ] {
            assert!(!is_complaint(line), "{line}");
        }
    }
}
