//! `vgpu-emulator`: the program that a guest reaches.
#![forbid(unsafe_code)]

mod vfio_user;
mod xen;

use std::env;
use std::process::ExitCode;

use vgpu_emulator::Call;
use vgpu_terminal::Failure;

fn main() -> ExitCode {
    let done = Call::parse(env::args_os().skip(1)).and_then(|call| run(&call));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(call: &Call) -> Result<(), Failure> {
    match call {
        Call::VfioUser(options) => vfio_user::serve(options),
        Call::Guard(sockets) => vfio_user::guard(sockets),
        Call::Xen(call) => xen::run(call),
    }
}
