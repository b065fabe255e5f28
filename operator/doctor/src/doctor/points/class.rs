//! Is it a processing accelerator?

use vgpu_checklist::{Evidence, Mend, Trouble};
use vgpu_terminal::shell::quoted;

use crate::doctor::function::CLASS;
use crate::doctor::subject::{Attachment, Subject};

pub(super) fn look(subject: &Subject, seen: &mut Evidence) -> Result<(), Trouble> {
    for function in subject.functions()? {
        let address = &function.address;
        match function.class {
            Some(CLASS) => seen.note(format!("{address}: class {CLASS:04x}")),
            Some(class) => {
                return Err(Trouble::fault(
                    format!("{address}: class {class:04x}, not {CLASS:04x}: it is another device"),
                    mends(subject),
                ));
            }
            None => {
                return Err(Trouble::not_seen(
                    "the control socket does not tell the class",
                    [Mend::guest(format!("lspci -nn -d {}", subject.ids))],
                ));
            }
        }
    }
    Ok(())
}

/// How a device that is none of the project's, or a broken one, is replaced.
pub(super) fn mends(subject: &Subject) -> Vec<Mend> {
    match subject.attachment {
        Some(Attachment::VfioUser) => {
            let sockets = subject.sockets().into_iter();
            // A server may take its socket away when its VM ends.
            let replace = |path| {
                let path = quoted(path);
                Mend::host(format!(
                    "rm -f {path}; vgpu-stub vfio-user --socket {path} &  # once the VM is off"
                ))
            };
            sockets.map(replace).collect()
        }
        Some(Attachment::Qemu) => vec![Mend::host(
            "cargo xtask qemu  # prints the path of a QEMU to start the VM with",
        )],
        Some(Attachment::Xen) | None => vec![Mend::host(
            "vgpu-stub --version  # install this release's program",
        )],
    }
}
