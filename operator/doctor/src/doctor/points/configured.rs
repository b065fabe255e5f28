//! Does the VM's configuration ask for the device?

use std::path::Path;

use vgpu_checklist::{Evidence, Mend, Place, Trouble};
use vgpu_terminal::shell::{quoted, this_command};
use vgpu_xcp_ng::{Uuid, Xe};
use vgpu_xl::device_model::{self, NAME};
use vgpu_xl::xl_config::{ARGUMENTS, MODEL};
use vgpu_xl::xl_file::XlFile;

use crate::doctor::arguments::{self, OWN};
use crate::doctor::subject::{Attachment, Subject};
use crate::doctor::toolstack::Toolstack;
use crate::doctor::xl;

/// The key of a VM's platform that names the program which builds it.
const KEY: &str = "xenguest";

/// A place for the socket of a server that does not run yet.
const SOCKET: &str = "/run/vgpu.sock";

pub(super) fn look(subject: &Subject, seen: &mut Evidence) -> Result<(), Trouble> {
    match (&subject.toolstack, subject.attachment) {
        (Toolstack::Xl { .. }, _) => xl(subject, seen),
        (Toolstack::XcpNg { uuid, domain }, Some(Attachment::Xen)) => {
            xcp_ng(subject, uuid, *domain, seen)
        }
        _ => qemu(subject, seen),
    }
}

/// Its `device_model_args`, as xl keeps them for a running domain.
fn xl(subject: &Subject, seen: &mut Evidence) -> Result<(), Trouble> {
    let Toolstack::Xl { name, domain, file } = &subject.toolstack else {
        return Ok(());
    };
    let path = quoted(file);
    let start = match domain {
        None => format!("xl create {path}"),
        // It is shut down a moment before it is gone.
        Some(_) => {
            let name = quoted(name);
            format!(
                "xl shutdown -w {name} && while xl domid {name} 2>/dev/null; do sleep 1; done; \
                 xl create {path}"
            )
        }
    };
    let configure = || Mend::host(format!("vgpu-stub xl-config --file {path} && {start}"));
    let (words, model, from) = match domain {
        Some(_) => {
            let config = xl::config(subject).map_err(|error| {
                Trouble::not_seen(
                    format!("xl list -l {name}: {error}"),
                    [Mend::host(format!("sudo xl list -l {}", quoted(name)))],
                )
            })?;
            if let Some(kind) = xl::domain_type(config).filter(|kind| *kind != "hvm") {
                return Err(Trouble::fault(
                    format!("the domain is {kind}, and only HVM domains have a PCI bus"),
                    // The file's last line may have no end.
                    [Mend::host(format!(
                        "printf '\\ntype = \"hvm\"\\n' >>{path} && {start}"
                    ))],
                ));
            }
            let model = xl::device_model(config).map(str::to_owned);
            let words = xl::device_model_arguments(config);
            (words, model, format!("xl list -l {name}"))
        }
        None => {
            let config = configuration(subject, file)?;
            let words = ARGUMENTS.iter().flat_map(|name| config.texts(name));
            let model = config.text(MODEL).map(str::to_owned);
            (words.collect(), model, file.display().to_string())
        }
    };
    let devices = device_model::named(&words);
    let ours = model.as_deref().filter(|model| model.ends_with(NAME));
    match (devices.is_empty(), ours, subject.attachment) {
        (true, _, _) => Err(Trouble::fault(
            format!("{from}: no -device {OWN} in device_model_args"),
            [configure()],
        )),
        (false, Some(model), _) => {
            seen.note(format!(
                "{from}: {model} -device {}",
                devices.join(" -device ")
            ));
            Ok(())
        }
        (false, None, Some(Attachment::Qemu)) => {
            let devices = devices.join(" -device ");
            seen.note(format!("{from}: -device {devices}, for a QEMU that has it"));
            Ok(())
        }
        (false, None, Some(Attachment::VfioUser | Attachment::Xen) | None) => Err(Trouble::fault(
            format!("{from}: -device {OWN}, and no device model that knows it"),
            [configure()],
        )),
    }
}

/// The file of a domain that does not run, as xl would read it.
fn configuration(subject: &Subject, file: &Path) -> Result<XlFile, Trouble> {
    let bytes = subject.host.bytes(file).map_err(|error| {
        Trouble::not_seen(
            format!("{}: {error}", file.display()),
            [Mend::host(format!("sudo {}", this_command("")))],
        )
    })?;
    XlFile::parse(&bytes).map_err(|error| {
        Trouble::fault(
            format!("xl cannot read {}: {error}", file.display()),
            [Mend::host(format!(
                "xl create -n {}  # says the same; mend that line",
                quoted(file)
            ))],
        )
    })
}

/// Its platform key, as the running domain has it, or as XAPI has it.
fn xcp_ng(
    subject: &Subject,
    uuid: &Uuid,
    domain: Option<u16>,
    seen: &mut Evidence,
) -> Result<(), Trouble> {
    let host = &subject.host;
    let (from, found) = match domain {
        Some(domain) => {
            let path = format!("/local/domain/{domain}/platform/{KEY}");
            let value = host.run("xenstore-read", &[&path]);
            let found = value.unwrap_or_else(|error| error.to_string());
            (format!("xenstore {path}"), found)
        }
        None => {
            let command =
                format!("xe vm-param-get uuid={uuid} param-name=platform param-key={KEY}");
            let value = Xe::within(host.limit).map_value(uuid, "platform", KEY);
            let found = value.map_err(|failure| {
                Trouble::not_seen(failure.cause, [Mend::host(command.clone())])
            })?;
            (command, found.unwrap_or_else(|| "not set".to_owned()))
        }
    };
    match found.trim() {
        OWN => {
            seen.note(format!("{from}: {OWN}"));
            Ok(())
        }
        found => {
            let start = match domain {
                Some(_) => format!("xe vm-shutdown uuid={uuid} && xe vm-start uuid={uuid}"),
                None => format!("xe vm-start uuid={uuid}"),
            };
            Err(Trouble::fault(
                format!("{from}: {found}, not {OWN}"),
                [
                    Mend::host(format!("vgpu-stub xcp enable {uuid}")),
                    Mend::host(start),
                ],
            ))
        }
    }
}

/// QEMU's arguments are all the configuration that it has; what was
/// hot-plugged it knows itself.
fn qemu(subject: &Subject, seen: &mut Evidence) -> Result<(), Trouble> {
    let arguments = subject.arguments();
    if !arguments.is_empty() {
        for device in arguments {
            let socket = device.socket.map(|path| format!(", socket {path}"));
            seen.note(format!(
                "-device {}{}",
                device.driver,
                socket.unwrap_or_default()
            ));
        }
        return Ok(());
    }
    if let Some(machine) = subject.machine() {
        let ours = machine.ours(&subject.ids);
        if let Some(function) = ours.first() {
            seen.note(format!(
                "{} at {}, hot-plugged",
                function.driver, function.address
            ));
            return Ok(());
        }
        return Err(Trouble::fault(
            format!("QEMU was started without -device {OWN}"),
            match subject.attachment {
                Some(Attachment::VfioUser) => vec![
                    Mend::host(format!("vgpu-stub vfio-user --socket {SOCKET} &")),
                    Mend::on(Place::QemuArguments, arguments::served(SOCKET)),
                ],
                Some(Attachment::Qemu | Attachment::Xen) | None => {
                    vec![Mend::on(Place::QemuArguments, format!("-device {OWN}"))]
                }
            },
        ));
    }
    Err(Trouble::not_seen(
        "QEMU's arguments are not known",
        [Mend::host("vgpu-stub doctor --qmp SOCKET")],
    ))
}
