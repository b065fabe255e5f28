//! Does the daemon let the machine in, and give it what it asks for?

use std::path::Path;

use vgpu_checklist::{Evidence, Mend, Trouble};
use vgpu_terminal::shell::{quoted, this_command};

use crate::doctor::daemon::{Standing, ask};
use crate::doctor::subject::Subject;

pub(super) fn look(subject: &Subject, seen: &mut Evidence) -> Result<(), Trouble> {
    let daemon = subject.daemon.as_ref();
    let Some((daemon, machine)) = daemon.and_then(|it| Some((it, it.machine.as_ref()?))) else {
        return Ok(());
    };
    let process = daemon.process.as_ref();
    let Some(control) = process.and_then(|process| process.value("--control")) else {
        return Err(Trouble::not_seen(
            "the daemon has no control socket that is known here",
            [Mend::host(
                "vgpu status --control PATH  # of vgpud link --control PATH",
            )],
        ));
    };
    let path = subject.host.path(Path::new(control));
    let standing = ask(&path, machine, subject.host.limit).map_err(|error| {
        let mend = Mend::host(format!("sudo {}", this_command("")));
        Trouble::not_seen(format!("no answer at {control}: {error}"), [mend])
    })?;
    let vgpu = |words: &str| Mend::host(format!("vgpu {words} --control {}", quoted(control)));
    let Some(standing) = standing else {
        let config = process.and_then(|process| process.value("--config"));
        return Err(Trouble::fault(
            format!("the daemon has not let machine {machine} in: its log says why"),
            [
                Mend::host(format!(
                    "printf '\\n[[machine]]\\nuuid = \"{machine}\"\\nuid = %s\\n' UID >>{}  # UID: the user of the \
                     device's process",
                    quoted(config.unwrap_or("/etc/vgpu/link.toml"))
                )),
                vgpu("reload"),
            ],
        ));
    };
    let Standing {
        memory_used,
        sessions_most,
        ..
    } = standing;
    if standing.quarantined {
        return Err(Trouble::fault(
            format!(
                "machine {machine} is in quarantine, for kernels that did not end or by hand: it opens no session"
            ),
            [vgpu(&format!("quarantine --end {machine}"))],
        ));
    }
    let sessions = standing.sessions.len() as u64;
    if sessions_most > 0 && sessions >= sessions_most {
        return Err(Trouble::fault(
            format!("machine {machine} has as many sessions as it may have: {sessions}"),
            [larger("channels", sessions_most), vgpu("reload")],
        ));
    }
    if let Some(quota) = standing.memory_quota
        && memory_used >= nearly(quota)
    {
        return Err(Trouble::fault(
            format!(
                "machine {machine} has used up its device memory: {memory_used} of {quota} bytes"
            ),
            [larger("device-memory-mib", quota >> 20), vgpu("reload")],
        ));
    }
    seen.note(format!(
        "machine {machine}: {sessions} sessions, {memory_used} bytes of device memory"
    ));
    Ok(())
}

/// So much of a quota that hardly anything more fits: 1 % is left.
const fn nearly(quota: u64) -> u64 {
    quota - quota / 100
}

/// The line of the configuration that bounds it.
fn larger(key: &str, now: u64) -> Mend {
    Mend::host(format!(
        "editor /etc/vgpu/link.toml  # {key} of this machine, now {now}; or end programs in the guest"
    ))
}
