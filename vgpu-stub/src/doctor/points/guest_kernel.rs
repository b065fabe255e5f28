//! Does the guest run? Its console tells of a panic, where it is recorded.

use std::path::PathBuf;

use crate::check::report::Evidence;
use crate::doctor::arguments;
use crate::doctor::finding::{Mend, Trouble};
use crate::doctor::subject::Subject;
use crate::doctor::text::quoted;
use crate::doctor::toolstack::Toolstack;

const PANIC: &str = "Kernel panic - not syncing";

pub(super) fn look(subject: &Subject, seen: &mut Evidence) -> Result<(), Trouble> {
    is_running(subject, seen)?;
    let Some((path, text)) = console(subject) else {
        return Err(Trouble::not_seen(
            "nobody records the guest's console",
            [Mend::guest("vgpu-stub doctor --guest")],
        ));
    };
    let lines: Vec<&str> = text.lines().collect();
    let last = lines.iter().rposition(|line| line.contains(PANIC));
    let Some(panic) = last else {
        seen.note(format!("{}: no panic", path.display()));
        return Ok(());
    };
    // A kernel that has panicked says no more.
    let more = lines
        .iter()
        .skip(panic + 1)
        .filter(|line| !line.trim().is_empty());
    if more.clone().any(|line| line.contains("Linux version")) {
        seen.note(format!("{}: a panic, and a start after it", path.display()));
        return Ok(());
    }
    let path = quoted(path);
    Err(Trouble::fault(
        lines.get(panic).unwrap_or(&PANIC).trim(),
        [Mend::host(format!("grep -B 30 -A 30 '{PANIC}' {path}"))],
    ))
}

fn is_running(subject: &Subject, seen: &mut Evidence) -> Result<(), Trouble> {
    if let Some(machine) = subject.machine() {
        seen.note(format!("QEMU: {}", machine.status));
        if machine.status != "running" {
            let path = subject
                .monitor
                .as_ref()
                .map(|monitor| quoted(&monitor.path));
            let path = path.unwrap_or_default();
            // What was paused goes on; what has crashed starts anew.
            let command = match machine.status.as_str() {
                "guest-panicked" | "internal-error" | "shutdown" => "system_reset",
                _ => "cont",
            };
            let requests =
                format!(r#"{{"execute":"qmp_capabilities"}}\n{{"execute":"{command}"}}\n"#);
            return Err(Trouble::fault(
                format!("the VM does not run: QEMU says {}", machine.status),
                [Mend::host(format!(
                    "printf '{requests}' | socat -t 2 - UNIX-CONNECT:{path}"
                ))],
            ));
        }
    }
    if let Toolstack::Xl {
        name,
        domain: Some(_),
        file,
    } = &subject.toolstack
    {
        let name = quoted(name);
        // The last line's columns: Name ID Mem VCPUs State Time(s)
        let list = subject.host.run("xl", &["list", &name]).unwrap_or_default();
        let mut columns = list.lines().last().unwrap_or_default().split_whitespace();
        let state = columns.nth_back(1).unwrap_or_default();
        seen.note(format!("xl list: {state}"));
        let mend = match state {
            _ if state.contains('p') => Some(("paused", format!("xl unpause {name}"))),
            _ if state.contains('c') => {
                let again = format!("xl destroy {name} && xl create {}", quoted(file));
                Some(("crashed", again))
            }
            _ => None,
        };
        if let Some((how, mend)) = mend {
            return Err(Trouble::fault(
                format!("the VM is {how}"),
                [Mend::host(mend)],
            ));
        }
    }
    Ok(())
}

/// Where the guest's console is recorded, and its end.
fn console(subject: &Subject) -> Option<(PathBuf, String)> {
    let mut paths: Vec<PathBuf> = subject.console.iter().cloned().collect();
    paths.extend(
        subject
            .qemu
            .as_ref()
            .and_then(arguments::console)
            .map(PathBuf::from),
    );
    if let Toolstack::Xl { name, .. } = &subject.toolstack {
        // Where xenconsoled records, with --log=guest or --log=all.
        let folders = ["/var/log/xen/console", "/var/log/xen"];
        paths.extend(folders.map(|folder| format!("{folder}/guest-{name}.log").into()));
    }
    paths.into_iter().find_map(|path| {
        let text = subject.host.log(&path).ok()?;
        Some((path, text))
    })
}
