//! One program with a daemon of its own.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::{Pid, Signal, getpgrp, kill_process};
use rustix::termios::tcgetpgrp;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use vgpu_transport::local::VARIABLE;

use crate::Daemon;

/// Signals that are the program's: this process ends when it does.
const PASSED_ON: [(i32, Signal); 4] = [
    (SIGTERM, Signal::TERM),
    (SIGHUP, Signal::HUP),
    (SIGINT, Signal::INT),
    (SIGQUIT, Signal::QUIT),
];

/// Runs a program that finds the daemon, and serves it until it ends. Signals
/// that ask this process to end are passed on to it, and those that are typed at
/// a terminal reach it anyway.
///
/// # Errors
/// It could not be started, or waited for.
pub fn run(daemon: &mut Daemon, program: &mut Command) -> io::Result<ExitStatus> {
    let signals = Signals::catch(daemon)?;
    let mut child = program.env(VARIABLE, daemon.name().to_string()).spawn()?;
    loop {
        signals.pass_on(Pid::from_child(&child));
        match child.try_wait()? {
            Some(status) => return Ok(status),
            None => daemon.turn(),
        }
    }
}

/// A status as an exit code: the program's own, or 128 and the number of the
/// signal that ended it.
#[must_use]
pub fn code(status: ExitStatus) -> u8 {
    let signal = || 128 + status.signal().unwrap_or_default();
    u8::try_from(status.code().unwrap_or_else(signal)).unwrap_or(u8::MAX)
}

/// Signals, with whether they came.
struct Signals(Vec<(i32, Signal, Arc<AtomicBool>)>);

impl Signals {
    /// Catches those that are not ignored already, as by nohup(1).
    fn catch(daemon: &Daemon) -> io::Result<Self> {
        let ignored = ignored();
        let mut caught = Vec::new();
        for (number, signal) in PASSED_ON {
            if ignored & 1 << (number - 1) != 0 {
                continue;
            }
            let came = Arc::new(AtomicBool::new(false));
            signal_hook::flag::register(number, Arc::clone(&came))?;
            daemon.wake_on(number)?;
            caught.push((number, signal, came));
        }
        Ok(Self(caught))
    }

    fn pass_on(&self, program: Pid) {
        for (number, signal, came) in &self.0 {
            if came.swap(false, Ordering::Relaxed) && !typed(*number) {
                let _ = kill_process(program, *signal);
            }
        }
    }
}

/// Whether a signal was typed at the terminal, whose driver sends it to the
/// program as well: so it is taken where this process is what the terminal runs.
fn typed(signal: i32) -> bool {
    let by_key = [SIGINT, SIGQUIT].contains(&signal);
    let terminal = || File::open("/dev/tty").ok();
    by_key && terminal().is_some_and(|terminal| tcgetpgrp(terminal).ok() == Some(getpgrp()))
}

/// The signals that this process ignores, a bit each.
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}
