//! Do QEMU and the emulator run, and talk to each other?

use std::io::ErrorKind;

use vgpu_checklist::{Evidence, Mend, Place, Trouble};
use vgpu_control::ClientError;
use vgpu_terminal::shell::{quoted, this_command};
use vgpu_xl::device_model;
use xen_dm::DomainId;

use crate::doctor::arguments;
use crate::doctor::process::Process;
use crate::doctor::qmp::QmpError;
use crate::doctor::subject::{Attachment, Subject};
use crate::doctor::toolstack::Toolstack;
use crate::doctor::unix_sockets::{UnixSockets, is_same};
use crate::doctor::xl;

pub(super) fn look(subject: &Subject, seen: &mut Evidence) -> Result<(), Trouble> {
    sockets_are_live(subject)?;
    vm_runs(subject)?;
    for process in subject.qemu.iter().chain(&subject.emulators) {
        if process.is_stopped() {
            let Process { pid, .. } = process;
            return Err(Trouble::fault(
                format!("process {pid}, {}, is stopped", process.name()),
                [Mend::host(format!("kill -CONT {pid}"))],
            ));
        }
        seen.note(format!("process {}: {}", process.pid, shown(process)));
    }
    monitor_answers(subject)?;
    match subject.attachment {
        Some(Attachment::VfioUser) if subject.qemu.is_some() => servers(subject, seen),
        Some(Attachment::Xen) => emulator(subject, seen),
        Some(Attachment::VfioUser | Attachment::Qemu) | None => control_answers(subject, seen),
    }
}

/// A socket whose owner is gone is left where it was.
fn sockets_are_live(subject: &Subject) -> Result<(), Trouble> {
    let monitor = subject.monitor.as_ref();
    let stale = monitor.and_then(|monitor| match &monitor.machine {
        Err(QmpError::Connect(error)) => Some((&monitor.path, error, "a QEMU")),
        _ => None,
    });
    let control = subject.control.as_ref();
    let stale = stale.or(control.and_then(|control| match &control.answer {
        Err(ClientError::Connect { source, .. }) => Some((&control.path, source, "an emulator")),
        _ => None,
    }));
    let Some((path, error, who)) = stale else {
        return Ok(());
    };
    if error.kind() == ErrorKind::ConnectionRefused {
        return Err(Trouble::fault(
            format!("{} is left from {who} that has ended", path.display()),
            [Mend::host(format!(
                "rm {}  # and start it again",
                quoted(path)
            ))],
        ));
    }
    Err(Trouble::not_seen(
        format!("cannot connect to {}: {error}", path.display()),
        [Mend::host(format!("sudo {}", this_command("")))],
    ))
}

fn vm_runs(subject: &Subject) -> Result<(), Trouble> {
    let start = match &subject.toolstack {
        Toolstack::Xl {
            domain: None, file, ..
        } => format!("xl create {}", quoted(file)),
        Toolstack::XcpNg { domain: None, uuid } => format!("xe vm-start uuid={uuid}"),
        _ => return Ok(()),
    };
    Err(Trouble::fault("the VM does not run", [Mend::host(start)]))
}

fn monitor_answers(subject: &Subject) -> Result<(), Trouble> {
    let Some(monitor) = &subject.monitor else {
        return Ok(());
    };
    match &monitor.machine {
        Ok(_) => Ok(()),
        Err(error) => Err(Trouble::not_seen(
            format!(
                "{}: {error}; QEMU talks to one program at a time",
                monitor.path.display()
            ),
            [Mend::host(format!("lsof {}", quoted(&monitor.path)))],
        )),
    }
}

/// The vfio-user servers that QEMU's arguments name.
fn servers(subject: &Subject, seen: &mut Evidence) -> Result<(), Trouble> {
    let processes = subject.qemu.iter().chain(&subject.emulators);
    let table = UnixSockets::read(&subject.host, processes.map(|it| it.pid));
    let table = table.map_err(|error| {
        Trouble::not_seen(
            format!("cannot read /proc/net/unix: {error}"),
            [Mend::host("sudo cat /proc/net/unix")],
        )
    })?;
    for path in subject.sockets() {
        let start = format!("vgpu-stub vfio-user --socket {} &", quoted(&path));
        if !table.listens(&path) {
            return Err(Trouble::fault(
                format!(
                    "no server listens on {path}. QEMU connects only once: after the mend, start the VM again"
                ),
                [Mend::host(start)],
            ));
        }
        if !table.is_connected(&path) {
            return Err(Trouble::fault(
                format!(
                    "a server listens on {path}, and the VM has lost its own. QEMU connects only once"
                ),
                subject.qemu.iter().flat_map(restart),
            ));
        }
        let own = subject
            .emulators
            .iter()
            .any(|it| it.value("--socket").is_some_and(|it| is_same(it, &path)));
        let who = if own {
            "vgpu-stub"
        } else {
            "another program than vgpu-stub"
        };
        seen.note(format!("{path}: served by {who}, connected"));
    }
    control_answers(subject, seen)
}

/// How a VM is ended, and started as it was.
pub(super) fn restart(qemu: &Process) -> Vec<Mend> {
    // What QEMU has inherited from libvirt is not among its arguments.
    if let Some(name) = arguments::libvirts_name(qemu) {
        let name = quoted(name);
        return vec![
            Mend::host(format!("virsh shutdown {name}")),
            Mend::host(format!("virsh start {name}  # once it is off")),
        ];
    }
    // The old one has what the new one needs, such as the locks of disks.
    let pid = qemu.pid;
    let words: Vec<String> = qemu.words.iter().map(quoted).collect();
    let words = words.join(" ");
    vec![Mend::host(format!(
        "kill {pid}; while kill -0 {pid} 2>/dev/null; do sleep 0.1; done; {words} &"
    ))]
}

/// The emulator of a domain of Xen: a supervisor, and who answers the guest.
fn emulator(subject: &Subject, seen: &mut Evidence) -> Result<(), Trouble> {
    let Some(domain) = subject.toolstack.domain() else {
        return control_answers(subject, seen);
    };
    let serves = |it: &&Process| it.words.iter().any(|word| word == "--serving");
    let serving = subject.emulators.iter().find(serves);
    let supervisor = subject.emulators.iter().find(|it| !serves(it));
    let (cause, left) = match (supervisor, serving) {
        (Some(_), Some(_)) => return control_answers(subject, seen),
        (None, None) if was_killed(subject, domain) => (
            "was killed with all its processes: a guest that asks its device waits, until \
             another goes on where that was",
            None,
        ),
        (None, None) => ("does not run", None),
        (Some(supervisor), None) => ("answers no guest", Some(supervisor)),
        (None, Some(serving)) => (
            "has lost its supervisor: nobody starts it again",
            Some(serving),
        ),
    };
    Err(Trouble::fault(
        format!("the emulator of domain {domain} {cause}"),
        start_again(subject, domain, left),
    ))
}

/// Whether an emulator has left what it removes at its end.
fn was_killed(subject: &Subject, domain: u16) -> bool {
    let kept = vgpu_xen::kept_path(DomainId(domain));
    subject.host.bytes(&kept).is_ok()
}

/// Brings a domain its emulator back. What is left of the old one goes first.
fn start_again(subject: &Subject, domain: u16, left: Option<&Process>) -> Vec<Mend> {
    // There a new start of the VM is what starts it, with the VM's options.
    if let Toolstack::XcpNg { uuid, .. } = &subject.toolstack {
        return vec![Mend::host(format!("xe vm-reboot uuid={uuid}"))];
    }
    let arguments = xl::config(subject).map_or_else(|_| Vec::new(), xl::device_model_arguments);
    let devices = device_model::devices(arguments).unwrap_or_default();
    let devices = devices
        .iter()
        .map(|device| format!(" --device {}", quoted(device)));
    let devices: String = devices.collect();
    let end = left.map(|left| format!("kill {} && sleep 1 && ", left.pid));
    let end = end.unwrap_or_default();
    let start = format!(
        "{end}setsid vgpu-stub xen --domid {domain}{devices} >>/var/log/vgpu-stub.log 2>&1 &"
    );
    // The guest still knows the old one, whose BAR had an address.
    let ids = &subject.ids;
    let find_again = format!(
        "for f in $(lspci -D -d {ids} | cut -d' ' -f1); do \
         echo 1 >/sys/bus/pci/devices/$f/remove; done; \
         echo 1 >/sys/bus/pci/rescan; setpci -d {ids} COMMAND=2:2"
    );
    vec![Mend::host(start), Mend::guest(find_again)]
}

fn control_answers(subject: &Subject, seen: &mut Evidence) -> Result<(), Trouble> {
    let Some(control) = &subject.control else {
        return Ok(());
    };
    let (greeting, infos) = control.answer.as_ref().map_err(|error| {
        Trouble::not_seen(
            error,
            [Mend::host(format!(
                "vgpu-stub ctl --control {} info",
                quoted(&control.path)
            ))],
        )
    })?;
    seen.note(format!(
        "process {}: {} {}, {} device(s)",
        greeting.pid, greeting.attachment, greeting.version, greeting.devices
    ));
    if infos.iter().any(|info| !info.connected) {
        let socket = subject.emulators.iter().find_map(|it| it.value("--socket"));
        let socket = socket.unwrap_or("/run/vgpu.sock");
        return Err(Trouble::fault(
            "no VM is connected to the emulator. QEMU connects when it starts, and only then",
            [Mend::on(Place::QemuArguments, arguments::served(socket))],
        ));
    }
    Ok(())
}

/// Its program, and the arguments that are about the device.
fn shown(process: &Process) -> String {
    let name = process.name();
    if process.is_subcommand("xen") || process.is_subcommand("vfio-user") {
        return process.words.join(" ");
    }
    let devices = arguments::devices(process);
    let devices = devices
        .iter()
        .map(|device| format!(" -device {}", device.driver));
    format!("{name}{}", devices.collect::<String>())
}
