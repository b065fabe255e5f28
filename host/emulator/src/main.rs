//! `vgpu-emulator`: the program that a guest reaches.
#![forbid(unsafe_code)]

mod vfio_user;
mod xen;

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use rustix::process::{Resource, getrlimit};
use vgpu_emulator::{Call, FAILED};
use vgpu_terminal::Failure;

/// The least limit on this process's addresses, in bytes: more than it takes at the start. A thread that finds none for its
/// signals' stack panics in the standard library, before it can say anything.
const ROOM: u64 = 8 << 20;

fn main() -> ExitCode {
    // One that was started as the file that runs would be called exe, by who lists processes.
    let _ = rustix::thread::set_name(c"vgpu-emulator");
    match call().and_then(|call| run(&call)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// What it is asked to do.
fn call() -> Result<Call, Failure> {
    let words: Vec<OsString> = env::args_os().skip(1).collect();
    let is_detached = words.iter().any(|word| word == "--detached");
    room()
        .and_then(|()| Call::parse(words))
        .inspect_err(|failure| {
            if is_detached {
                // Who started it waits for a line.
                let _ = writeln!(io::stdout(), "{FAILED}{}", failure.cause);
            }
        })
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
        Call::Guard(guarding) => vfio_user::guard(guarding),
        Call::Xen(call) => xen::run(call),
    }
}
