//! Where `vgpu-emulator` is.

use std::env;
use std::path::PathBuf;

/// The name of the program's file.
pub const PROGRAM: &str = "vgpu-emulator";

/// Where packages have the program. No user types its name.
pub const INSTALLED: &str = "/usr/lib/vgpu-stub/vgpu-emulator";

/// Where the program may be: beside the one that asks, as where both were built, else where packages have it.
#[must_use]
pub fn places() -> Vec<PathBuf> {
    let own = env::current_exe().ok();
    let beside = own.map(|own| own.with_file_name(PROGRAM));
    beside.into_iter().chain([INSTALLED.into()]).collect()
}
