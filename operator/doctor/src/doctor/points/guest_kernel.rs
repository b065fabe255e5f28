//! Does the guest run? Its console tells of a panic, where it is recorded.

use std::path::PathBuf;

use vgpu_checklist::{Evidence, Mend, Trouble};
use vgpu_terminal::shell::quoted;

use crate::doctor::arguments;
use crate::doctor::subject::Subject;
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
    match panic(&text) {
        None => {
            seen.note(format!("{}: the kernel has not panicked", path.display()));
            Ok(())
        }
        Some(line) => Err(Trouble::fault(
            line,
            [Mend::host(format!(
                "grep -B 30 -A 30 '{PANIC}' {}",
                quoted(path)
            ))],
        )),
    }
}

/// The line with which the kernel has ended. One that another start of the
/// guest follows, in the same file, is history.
fn panic(console: &str) -> Option<&str> {
    let mut lines = console.lines();
    let line = lines.rfind(|line| line.contains(PANIC))?;
    let (_, after) = console.rsplit_once(line)?;
    let at = printed_at(line);
    let started_again = |line: &str| match at {
        // All that the kernel still says has a time, and a later one.
        Some(at) => printed_at(line).is_none_or(|it| it < at),
        None => line.contains("Linux version"),
    };
    let mut after = after.lines().filter(|line| !line.trim().is_empty());
    (!after.any(started_again)).then_some(line.trim())
}

/// The seconds since the kernel's start, as in "[    7.506772] text".
fn printed_at(line: &str) -> Option<f64> {
    let (time, _) = line.trim_start().strip_prefix('[')?.split_once(']')?;
    time.trim().parse().ok()
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
        // The last line's columns: Name ID Mem VCPUs State Time(s)
        let list = subject.host.run("xl", &["list", name]).unwrap_or_default();
        let mut columns = list.lines().last().unwrap_or_default().split_whitespace();
        let state = columns.nth_back(1).unwrap_or_default();
        seen.note(format!("xl list: {state}"));
        let name = quoted(name);
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

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &str = "\
guest: up
[    7.506772] Kernel panic - not syncing: sysrq triggered crash
[    7.506900] CPU: 0 PID: 1 Comm: sh Not tainted 6.1.0
";

    #[test]
    fn a_panic_is_the_last_thing_that_a_kernel_says() {
        let line = "[    7.506772] Kernel panic - not syncing: sysrq triggered crash";
        assert_eq!(panic(DUMP), Some(line));
        assert_eq!(panic(&format!("{DUMP}\r\n")), Some(line));
        let untimed = "Kernel panic - not syncing: x\nCPU: 0 PID: 1\n";
        assert_eq!(panic(untimed), Some("Kernel panic - not syncing: x"));
        assert_eq!(panic(&format!("{DUMP}{DUMP}")), Some(line));
    }

    #[test]
    fn what_comes_after_it_is_another_start() {
        for after in [
            "SeaBIOS (version 1.16)\n",
            "[    0.000000] Linux version 6.1\n",
        ] {
            assert_eq!(panic(&format!("{DUMP}{after}")), None, "{after}");
        }
        assert_eq!(
            panic("Kernel panic - not syncing: x\nLinux version 6.1\n"),
            None
        );
        assert_eq!(panic("guest: up\n"), None);
    }
}
