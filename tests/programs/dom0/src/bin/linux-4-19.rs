//! Runs a program as on Linux 4.19, which dom0 of XCP-ng has: later system calls do not exist. For tests.
#![forbid(unsafe_code)]

use std::env;
use std::error::Error;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use seccompiler::{SeccompAction, SeccompFilter, TargetArch};

/// The first later one on x86-64 is pidfd_send_signal, of Linux 5.1.
const LATER: std::ops::Range<i64> = 424..600;

fn main() -> ExitCode {
    let Err(error) = run();
    eprintln!("linux-4-19: {error}");
    ExitCode::FAILURE
}

/// It returns only where it fails.
fn run() -> Result<std::convert::Infallible, Box<dyn Error>> {
    let mut words = env::args_os().skip(1);
    let program = words.next().ok_or("usage: linux-4-19 PROGRAM [WORD…]")?;
    let filter = SeccompFilter::new(
        LATER.map(|call| (call, Vec::new())).collect(),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::ENOSYS.cast_unsigned()),
        TargetArch::x86_64,
    )?;
    let filter: seccompiler::BpfProgram = filter.try_into()?;
    seccompiler::apply_filter(&filter)?;
    Err(Command::new(program).args(words).exec().into())
}
