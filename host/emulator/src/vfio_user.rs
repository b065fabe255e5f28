//! A server of vfio-user, and its guard.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use vgpu_emulator::{Call, SHOWN_AS};
use vgpu_terminal::Failure;
use vgpu_vfio_user::Options;

/// Serves until it is told to end.
pub(crate) fn serve(options: &Options) -> Result<(), Failure> {
    vgpu_vfio_user::serve(options, guarding())
        .map_err(|error| Failure::new(error.to_string(), error.mend()))
}

/// This program as a server's guard, which is to be told its sockets.
fn guarding() -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0(SHOWN_AS).args(Call::Guard(Vec::new()).words());
    command
}

/// Is the guard of the server that has started this process.
pub(crate) fn guard(sockets: &[PathBuf]) -> Result<(), Failure> {
    vgpu_vfio_user::guard(sockets).map_err(|error| {
        Failure::new(
            error.to_string(),
            "leave it to 'vgpu-stub vfio-user', which starts it",
        )
    })
}
