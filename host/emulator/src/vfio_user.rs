//! A server of vfio-user, and its guard.

use std::os::unix::process::CommandExt;
use std::process::Command;

use vgpu_emulator::{Call, SHOWN_AS};
use vgpu_terminal::Failure;
use vgpu_vfio_user::{Guarding, Options};

/// Serves until it is told to end.
pub(crate) fn serve(options: &Options) -> Result<(), Failure> {
    vgpu_vfio_user::serve(options, guard_of)
        .map_err(|error| Failure::new(error.to_string(), error.mend()))
}

/// This program as a server's guard.
fn guard_of(guarding: Guarding) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0(SHOWN_AS).args(Call::Guard(guarding).words());
    command
}

/// Is the guard of the server that has started this process.
pub(crate) fn guard(guarding: &Guarding) -> Result<(), Failure> {
    vgpu_vfio_user::guard(guarding).map_err(|error| {
        Failure::new(
            error.to_string(),
            "leave it to 'vgpu-stub vfio-user', which starts it",
        )
    })
}
