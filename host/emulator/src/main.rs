//! `vgpu-emulator`: the program that a guest reaches.
#![forbid(unsafe_code)]

mod vfio_user;
mod xen;

use std::env;
use std::hint::black_box;
use std::process::ExitCode;

use vgpu_emulator::Call;
use vgpu_terminal::Failure;

/// What has to be left of this process's addresses, in bytes: more than all its threads and tables take at the start. A
/// thread that finds none for its signals' stack panics in the standard library, before it can say anything.
const ROOM: usize = 16 << 20;

fn main() -> ExitCode {
    let call = room().and_then(|()| Call::parse(env::args_os().skip(1)));
    match call.and_then(|call| run(&call)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// Sees that there is [`ROOM`].
fn room() -> Result<(), Failure> {
    let mut room = Vec::<u8>::new();
    let reserved = room.try_reserve_exact(ROOM);
    // Else nothing is asked for.
    black_box(&room);
    reserved.map_err(|_| {
        Failure::new(
            format!("{} MiB of memory cannot be had", ROOM >> 20),
            "see that the limits on memory leave room (ulimit -v)",
        )
    })
}

fn run(call: &Call) -> Result<(), Failure> {
    match call {
        Call::VfioUser(options) => vfio_user::serve(options),
        Call::Guard(sockets) => vfio_user::guard(sockets),
        Call::Xen(call) => xen::run(call),
    }
}
