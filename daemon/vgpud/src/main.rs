//! `vgpud run -- PROGRAM`: a daemon for one program, with the default engine and
//! nothing else. The tests here run it; people have `vgpu run`.
#![forbid(unsafe_code)]

use std::ffi::{OsStr, OsString};
use std::os::fd::AsFd;
use std::process::{Command, ExitCode};

use anyhow::{Context, bail};
use vgpud::{Daemon, program};

const USAGE: &str = "usage: vgpud run -- PROGRAM [ARGUMENT ...]";

fn main() -> ExitCode {
    match start(std::env::args_os().skip(1).collect()) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("vgpud: {error:#}");
            ExitCode::from(125)
        }
    }
}

fn start(arguments: Vec<OsString>) -> anyhow::Result<u8> {
    let mut words = arguments.into_iter();
    match words.next().as_ref().and_then(|word| word.to_str()) {
        // What the daemon starts: see `Daemon::new`.
        Some("worker") => {
            let daemon = words.next().and_then(|word| word.to_str()?.parse().ok());
            let socket = std::io::stdin().as_fd().try_clone_to_owned()?;
            let code = vgpu_service::worker(socket, daemon.context("no daemon")?);
            std::process::exit(code)
        }
        Some("run") => {
            let mut program = words.skip_while(|word| word == "--");
            run(&program.next().context(USAGE)?, program)
        }
        _ => bail!(USAGE),
    }
}

/// Runs a program with a daemon of its own; gives its exit code.
fn run(program: &OsStr, arguments: impl Iterator<Item = OsString>) -> anyhow::Result<u8> {
    // The same file, even where another was installed in its place.
    let mut daemon = Daemon::new(vec!["/proc/self/exe".into(), "worker".into()])?;
    let status = program::run(&mut daemon, Command::new(program).args(arguments))
        .with_context(|| format!("cannot start {}", program.display()))?;
    Ok(program::code(status))
}
