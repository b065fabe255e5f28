//! File descriptors that a process was started with, which it knows by number
//! alone (a toolstack names them in the arguments, or leaves them open), and whether the programs that it starts get them
//! too: `FD_CLOEXEC` of `fcntl(2)`.
//!
//! # Safety
//!
//! The interface is safe. A number stands for no descriptor of this process's own to Rust: to give one to a system call
//! nonetheless is `unsafe`, once.
#![allow(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

use std::os::fd::{BorrowedFd, RawFd};

use rustix::io::{Errno, FdFlags, fcntl_setfd};

/// Says whether the programs that this process starts get the descriptor too.
///
/// # Errors
///
/// `EBADF` where no such descriptor is open.
pub fn pass_on(descriptor: RawFd, to_children: bool) -> Result<(), Errno> {
    if descriptor < 0 {
        return Err(Errno::BADF);
    }
    // SAFETY: it is not -1, and is used for one call, which fails if nothing
    // is open there and touches no memory.
    let descriptor = unsafe { BorrowedFd::borrow_raw(descriptor) };
    let flags = if to_children {
        FdFlags::empty()
    } else {
        FdFlags::CLOEXEC
    };
    fcntl_setfd(descriptor, flags)
}

/// Has the programs that this process starts get none of its descriptors, but
/// stdin, stdout and stderr: also none that this process was started with.
///
/// # Errors
///
/// What is open cannot be seen in `/proc`.
pub fn pass_on_nothing() -> std::io::Result<()> {
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let name = entry?.file_name();
        let descriptor = name.to_str().and_then(|name| name.parse().ok());
        let Some(descriptor @ 3..) = descriptor else {
            continue;
        };
        match pass_on(descriptor, false) {
            // The folder itself is closed by now.
            Ok(()) | Err(Errno::BADF) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::process::Command;

    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "Miri starts no processes")]
    fn children_get_nothing() {
        let file = std::fs::File::open("/dev/null").unwrap();
        pass_on(file.as_raw_fd(), true).unwrap();
        pass_on_nothing().unwrap();
        let list = Command::new("ls").arg("/proc/self/fd").output().unwrap();
        // Of ls's own there is the folder.
        let list = String::from_utf8(list.stdout).unwrap();
        assert_eq!(list.lines().count(), 4, "{list}");
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri starts no processes")]
    fn children_get_what_is_passed_on_and_nothing_else() {
        let file = std::fs::File::open("/dev/null").unwrap();
        let number = file.as_raw_fd();
        let child_has_it = || {
            let mut test = Command::new("test");
            test.args(["-e", &format!("/proc/self/fd/{number}")]);
            test.status().unwrap().success()
        };
        pass_on(number, true).unwrap();
        assert!(child_has_it());
        pass_on(number, false).unwrap();
        assert!(!child_has_it());
        assert_eq!(pass_on(-1, true), Err(Errno::BADF));
        assert_eq!(pass_on(1 << 20, true), Err(Errno::BADF));
    }
}
