//! Runs a program as on a kernel that has no seccomp. For tests.
#![forbid(unsafe_code)]

use std::env;
use std::error::Error;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use seccompiler::{SeccompAction, SeccompFilter, TargetArch};

fn main() -> ExitCode {
    let Err(error) = run();
    eprintln!("without-seccomp: {error}");
    ExitCode::FAILURE
}

/// It returns only where it fails.
fn run() -> Result<std::convert::Infallible, Box<dyn Error>> {
    let mut words = env::args_os().skip(1);
    let program = words
        .next()
        .ok_or("usage: without-seccomp PROGRAM [WORD…]")?;
    let filter = SeccompFilter::new(
        [(libc::SYS_seccomp, Vec::new())].into(),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::ENOSYS.cast_unsigned()),
        TargetArch::x86_64,
    )?;
    let filter: seccompiler::BpfProgram = filter.try_into()?;
    seccompiler::apply_filter(&filter)?;
    Err(Command::new(program).args(words).exec().into())
}
