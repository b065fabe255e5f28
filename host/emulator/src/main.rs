//! `vgpu-emulator`: the program that a guest reaches.
#![forbid(unsafe_code)]

mod vfio_user;
mod xen;

use std::env;
use std::process::ExitCode;

use rustix::process::{Resource, getrlimit};
use vgpu_emulator::Call;
use vgpu_terminal::Failure;

/// The least limit on this process's addresses, in bytes: more than it takes at the start. A thread that finds none for its
/// signals' stack panics in the standard library, before it can say anything.
const ROOM: u64 = 8 << 20;

fn main() -> ExitCode {
    let call = room().and_then(|()| Call::parse(env::args_os().skip(1)));
    match call.and_then(|call| run(&call)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// Sees that there is [`ROOM`].
fn room() -> Result<(), Failure> {
    match getrlimit(Resource::As).current {
        Some(limit) if limit < ROOM => Err(Failure::new(
            format!("a limit of {limit} bytes of memory is too low"),
            format!("raise it to {ROOM} bytes or more (ulimit -v)"),
        )),
        _ => Ok(()),
    }
}

fn run(call: &Call) -> Result<(), Failure> {
    match call {
        Call::VfioUser(options) => vfio_user::serve(options),
        Call::Guard(sockets) => vfio_user::guard(sockets),
        Call::Xen(call) => xen::run(call),
    }
}
