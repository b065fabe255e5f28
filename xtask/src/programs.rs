//! The programs that hosts install.

use std::path::{Path, PathBuf};

use anyhow::Result;
use vgpu_bed::static_program::{self, Profile};
use vgpu_bed::steps::Steps;

use crate::checkout;

/// What operators run.
pub(crate) const COMMAND: &str = "vgpu-stub";

/// What guests reach; the command starts it where it lies beside it.
pub(crate) const EMULATOR: &str = "vgpu-emulator";

/// Packages with a program of the same name.
pub(crate) const PRODUCT: [(&str, &str); 2] = [(COMMAND, COMMAND), (EMULATOR, EMULATOR)];

/// Builds both, and returns the path of the command; the emulator is beside it.
///
/// # Errors
///
/// One does not build.
pub(crate) fn build(steps: &Steps) -> Result<PathBuf> {
    let folder = static_program::build_all(checkout(), &PRODUCT, Profile::Release, steps)?;
    Ok(folder.join(COMMAND))
}

/// The emulator that belongs to a command.
pub(crate) fn emulator(command: &Path) -> PathBuf {
    command.with_file_name(EMULATOR)
}
