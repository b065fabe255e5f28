//! Can a guest share its memory, whose device has features in QEMU itself?

use crate::check::report::Evidence;
use crate::doctor::finding::{Mend, Place, Trouble};
use crate::doctor::qmp::QmpError;
use crate::doctor::subject::Subject;

pub(super) fn look(subject: &Subject, seen: &mut Evidence) -> Result<(), Trouble> {
    let features = subject.arguments().iter().any(|device| device.features);
    let (Some(machine), true) = (subject.machine(), features) else {
        return Ok(());
    };
    let not_seen = |error: QmpError| {
        let mend = Mend::host("vgpu-stub doctor --qmp SOCKET");
        Trouble::not_seen(format!("QEMU does not tell of its memory: {error}"), [mend])
    };
    if machine.memory_is_shared().map_err(not_seen)? {
        seen.note("the machine's memory is shared");
        return Ok(());
    }
    let size = machine.memory_size().map_err(not_seen)?;
    let size = size.map_or("SIZE".to_owned(), |bytes| bytes.to_string());
    Err(Trouble::fault(
        "the machine's memory is private to QEMU: its guest can share none with the host",
        [Mend::on(
            Place::QemuArguments,
            format!(
                "-object memory-backend-memfd,id=vgpu-ram,size={size},share=on \
                 -machine memory-backend=vgpu-ram"
            ),
        )],
    ))
}
