//! The programs that hosts install.

use std::path::{Path, PathBuf};

use anyhow::Result;
use vgpu_bed::static_program;
use vgpu_bed::steps::Steps;

use crate::checkout;

/// What operators run.
pub(crate) const COMMAND: &str = "vgpu-stub";

/// What guests reach; the command starts it where it lies beside it.
pub(crate) const EMULATOR: &str = "vgpu-emulator";

/// Builds both, and returns the path of the command; the emulator is beside it.
///
/// # Errors
///
/// One does not build.
pub(crate) fn build(steps: &Steps) -> Result<PathBuf> {
    static_program::build(checkout(), EMULATOR, EMULATOR, steps)?;
    static_program::build(checkout(), COMMAND, COMMAND, steps)
}

/// The emulator that belongs to a command.
pub(crate) fn emulator(command: &Path) -> PathBuf {
    command.with_file_name(EMULATOR)
}
