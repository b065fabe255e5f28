//! Can a guest share its memory, whose device has features?

use vgpu_checklist::{Evidence, Mend, Place, Trouble};

use crate::doctor::arguments::values;
use crate::doctor::qemu::Machine;
use crate::doctor::subject::Subject;

pub(super) fn look(subject: &Subject, seen: &mut Evidence) -> Result<(), Trouble> {
    if subject.daemon.is_none() {
        return Ok(());
    }
    // QEMU's word counts; where its monitor is held by another, its arguments tell.
    let asked = subject.machine().map(Machine::memory_is_shared);
    let shared = match (asked, &subject.qemu) {
        (Some(Ok(shared)), _) => shared,
        (_, Some(qemu)) => {
            seen.note("by QEMU's arguments, as its monitor does not tell");
            values(qemu, "object").any(is_shared)
        }
        _ => {
            let mend = Mend::host("vgpu-stub doctor --qmp SOCKET");
            return Err(Trouble::not_seen("nobody tells of QEMU's memory", [mend]));
        }
    };
    if shared {
        seen.note("the machine's memory is shared");
        return Ok(());
    }
    let size = subject.machine().map(Machine::memory_size);
    let size = size.and_then(Result::ok).flatten();
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

/// Whether an object is memory that other processes can map. A memfd is so unless it says otherwise.
fn is_shared(object: &str) -> bool {
    let says = |words: [&str; 3]| words.iter().any(|word| object.contains(word));
    let is_memory = object.contains("memory-backend-");
    let on = says(["share=on", "share=true", "\"share\":true"]);
    let off = says(["share=off", "share=false", "\"share\":false"]);
    is_memory && (on || object.contains("memory-backend-memfd") && !off)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_shared_however_it_is_written() {
        for (object, shared) in [
            ("memory-backend-memfd,id=ram,size=4G,share=on", true),
            ("memory-backend-memfd,id=ram,size=4G", true),
            ("memory-backend-memfd,id=ram,size=4G,share=off", false),
            (
                "memory-backend-file,id=ram,mem-path=/dev/shm,share=true",
                true,
            ),
            ("memory-backend-file,id=ram,mem-path=/dev/shm", false),
            ("memory-backend-ram,id=ram,size=4G", false),
            (
                r#"{"qom-type":"memory-backend-file","id":"ram","share":true}"#,
                true,
            ),
            (
                r#"{"qom-type":"memory-backend-memfd","share":false}"#,
                false,
            ),
            ("iothread,id=share=on", false),
        ] {
            assert_eq!(is_shared(object), shared, "{object}");
        }
    }
}
