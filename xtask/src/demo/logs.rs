//! Logs of a machine.

use anyhow::Result;
use vgpu_bed::machine::Machine;

/// Keeps the machine's logs where somebody wants to read them.
pub(super) fn finish(machine: &Machine, result: Result<()>, keep: bool) -> Result<()> {
    if keep || result.is_err() {
        machine.keep_folder();
        eprintln!("logs: {}", machine.folder().display());
    }
    result
}
