//! Holds up whoever opens a file, until stdin ends: a test stops a toolstack
//! so in the middle of its work. It says `held` when it does, and the kernel
//! notes in /proc/locks that somebody waits.
#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(path) = std::env::args_os().nth(1) else {
        eprintln!("usage: hold-open FILE");
        return ExitCode::from(2);
    };
    match hold(path.as_ref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot hold it: {error}");
            ExitCode::FAILURE
        }
    }
}

fn hold(path: &std::path::Path) -> io::Result<()> {
    let file = File::options().read(true).write(true).open(path)?;
    // Who opens the file has the kernel send this, which would end the program.
    // SAFETY: no code of ours runs as a handler.
    unsafe { libc::signal(libc::SIGIO, libc::SIG_IGN) };
    // SAFETY: the file is open, and the call takes no pointer.
    let leased = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_WRLCK) };
    if leased < 0 {
        return Err(io::Error::last_os_error());
    }
    println!("held");
    io::stdin().read_to_end(&mut Vec::new()).map(drop)
}
