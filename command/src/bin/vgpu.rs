//! The `vgpu` command.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    vgpu_command::run()
}
