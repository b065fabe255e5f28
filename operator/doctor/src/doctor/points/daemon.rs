//! Does the daemon run that serves the device's channels?

use vgpu_checklist::{Evidence, Mend, Trouble};
use vgpu_terminal::shell::quoted;

use crate::doctor::process::Process;
use crate::doctor::subject::Subject;
use crate::doctor::unix_sockets::UnixSockets;

pub(super) fn look(subject: &Subject, seen: &mut Evidence) -> Result<(), Trouble> {
    let Some(daemon) = &subject.daemon else {
        return Ok(());
    };
    let Some(link) = &daemon.link else {
        seen.note("the device has features, and no daemon: its guest opens no session");
        return Ok(());
    };
    if let Some(process) = &daemon.process {
        let Process { pid, .. } = process;
        if process.is_stopped() {
            return Err(Trouble::fault(
                format!("process {pid}, vgpud, is stopped: it opens no session"),
                [Mend::host(format!("kill -CONT {pid}"))],
            ));
        }
        seen.note(format!("process {pid}: {}", process.words.join(" ")));
    }
    let processes = subject.qemu.iter().chain(&subject.emulators);
    let processes = processes.chain(&daemon.process);
    let table = UnixSockets::read(&subject.host, processes.map(|it| it.pid));
    let table = table.map_err(|error| {
        let mend = Mend::host("sudo cat /proc/net/unix");
        Trouble::not_seen(format!("cannot read /proc/net/unix: {error}"), [mend])
    })?;
    if table.listens(link) {
        seen.note(format!("it listens on {link}"));
        return Ok(());
    }
    Err(Trouble::fault(
        format!("no vgpud listens on {link}: the guest sees STATE 0 or 3, and opens no session"),
        [Mend::host(format!(
            "vgpud link --socket {} &  # with the --config that names this machine",
            quoted(link)
        ))],
    ))
}
