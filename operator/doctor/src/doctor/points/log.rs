//! What was logged about the device, where this kind of host logs.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use vgpu_checklist::{Evidence, Mend, Trouble};
use vgpu_terminal::shell::quoted;
use vgpu_xl::device_model::NAME;

use crate::doctor::arguments;
use crate::doctor::process::Process;
use crate::doctor::subject::Subject;
use crate::doctor::toolstack::Toolstack;

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
    /// What its writer says at each start, where it appends to the log; what
    /// comes before the last one is history.
    start: Option<String>,
}

/// Where libvirt keeps the logs of VMs.
const LIBVIRTS: &str = "/var/log/libvirt/qemu";

/// What libvirt writes to a VM's log before QEMU's command line.
const LIBVIRT_STARTS: &str = ": starting up libvirt version";

pub(super) fn look(subject: &Subject, seen: &mut Evidence) -> Result<(), Trouble> {
    let logs = logs(subject);
    let mut read = 0;
    for Log { path, marks, start } in &logs {
        let Ok(text) = subject.host.log(path) else {
            continue;
        };
        read += 1;
        let is_the_vms = |line: &&str| {
            let marked = |marks: &Vec<String>| marks.iter().any(|mark| line.contains(mark));
            marks.as_ref().is_none_or(marked)
        };
        let text = start.as_ref().map_or(&*text, |start| since(&text, start));
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
    let whole = |path: PathBuf| Log {
        start: start(subject, &path),
        marks: None,
        path,
    };
    logs.into_iter().map(whole).collect()
}

/// What begins a new start in this log, where it may have several.
fn start(subject: &Subject, path: &Path) -> Option<String> {
    if path.starts_with(LIBVIRTS) {
        return Some(LIBVIRT_STARTS.into());
    }
    // An emulator that was started by hand, after the doctor's own mend.
    let mut emulators = subject.emulators.iter();
    let own = emulators.find(|it| it.descriptor(&subject.host, 2).as_deref() == Some(path))?;
    match (subject.toolstack.domain(), own.value("--socket")) {
        (Some(domain), _) => Some(format!("vgpu-stub xen: ready for domain {domain}\n")),
        (None, socket) => Some(format!("vgpu-stub vfio-user: ready on {}\n", socket?)),
    }
}

/// What a log has from the last start on, without the command line of it,
/// whose words are no complaints.
fn since<'a>(log: &'a str, start: &str) -> &'a str {
    let Some((_, after)) = log.rsplit_once(start) else {
        return log;
    };
    if start.ends_with('\n') {
        return after;
    }
    let mut end = 0;
    for line in after.split_inclusive('\n') {
        end += line.len();
        // The line itself, and those that a command line goes on from.
        let goes_on = end == line.len() || line.trim_end().ends_with('\\');
        if !goes_on {
            break;
        }
    }
    after.get(end..).unwrap_or_default()
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
        start: None,
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
    let libvirts = arguments::name(qemu).map(|name| format!("{LIBVIRTS}/{name}.log"));
    let libvirts = libvirts.filter(|path| subject.host.exists(path));
    let named = arguments::values(qemu, "D").last().map(PathBuf::from);
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
    let is_ours = OURS.iter().any(|word| line.contains(word));
    is_ours && COMPLAINTS.iter().any(|word| begins_with(line, word)) && !line.contains(WARNING)
}

/// Whether a word of the line begins so. `werror=stop` is no error.
fn begins_with(line: &str, word: &str) -> bool {
    let mut found = line.match_indices(word);
    found.any(|(at, _)| !line[..at].ends_with(char::is_alphanumeric))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_read_from_the_last_start_on() {
        let start = "2026-01-01 00:00:00.000+0000: starting up libvirt version: 11.3.0\n\
                     LC_ALL=C \\\n/usr/bin/q \\\n-device vgpu-stub,error=1\n";
        let log = format!("{start}vgpu-stub: error\n{start}well\n");
        assert_eq!(since(&log, LIBVIRT_STARTS), "well\n");
        let log = format!("{start}well\n{start}vgpu-stub: error\n");
        assert_eq!(since(&log, LIBVIRT_STARTS), "vgpu-stub: error\n");
        // The log is cut, or was begun by another.
        assert_eq!(
            since("vgpu-stub: error\n", LIBVIRT_STARTS),
            "vgpu-stub: error\n"
        );
        assert_eq!(since(start, LIBVIRT_STARTS), "");
        assert_eq!(
            since("a\nready 1\nb\nready 12\n", "ready 1\n"),
            "b\nready 12\n"
        );
    }

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
            "-drive file=/vgpu/a,werror=stop,rerror=stop",
        ] {
            assert!(!is_complaint(line), "{line}");
        }
    }
}
