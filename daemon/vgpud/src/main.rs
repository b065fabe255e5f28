//! `vgpud run -- PROGRAM`: a daemon for one program.
#![forbid(unsafe_code)]

use std::ffi::{OsStr, OsString};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal};
use signal_hook::consts::SIGTERM;
use vgpu_transport::local::VARIABLE;
use vgpud::Daemon;

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

/// Runs a program with a daemon of its own; gives the program's status, or 128
/// and the number of the signal that ended it.
fn run(program: &OsStr, arguments: impl Iterator<Item = OsString>) -> anyhow::Result<u8> {
    // The same file, even where another was installed in its place.
    let mut daemon = Daemon::new(vec!["/proc/self/exe".into(), "worker".into()])?;
    let mut child = Command::new(program)
        .args(arguments)
        .env(VARIABLE, daemon.name().to_string())
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))?;
    // The program is to end as it would without a daemon.
    let asked = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(SIGTERM, Arc::clone(&asked))?;
    daemon.wake_on(SIGTERM)?;
    let status = loop {
        if asked.swap(false, Ordering::Relaxed) {
            let process = Pid::from_child(&child);
            let _ = rustix::process::kill_process(process, Signal::TERM);
        }
        if let Some(status) = child.try_wait()? {
            break status;
        }
        daemon.turn();
    };
    let code = status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    Ok(u8::try_from(code).unwrap_or(u8::MAX))
}
