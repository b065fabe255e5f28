//! Whether the sandbox is in force, as the kernel tells.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;

use rustix::fs::{Dir, Mode, OFlags, open, openat};
use rustix::io::Errno;

use crate::Error;

const TASKS: &str = "/proc/self/task";

/// Bytes that the kernel tells of a thread, at most.
const LONGEST: u64 = 1 << 16;

/// The folder of this process's threads.
pub(crate) fn tasks() -> Result<OwnedFd, Error> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    open(TASKS, flags, Mode::empty()).map_err(Error::cannot("look at this process in /proc"))
}

/// What the kernel tells of each thread, opened while files can be. It is as of
/// when it is read.
#[derive(Debug)]
pub(crate) struct Threads(Vec<File>);

impl Threads {
    pub(crate) fn open(tasks: &OwnedFd) -> Result<Self, Error> {
        let mut threads = Vec::new();
        let refused = || Error::cannot("look at a thread in /proc");
        for entry in Dir::read_from(tasks).map_err(refused())? {
            let entry = entry.map_err(refused())?;
            let name = entry.file_name().to_string_lossy();
            if name.starts_with('.') {
                continue;
            }
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            match openat(tasks, format!("{name}/status"), flags, Mode::empty()) {
                Ok(status) => threads.push(status.into()),
                // It has ended.
                Err(Errno::NOENT | Errno::SRCH) => {}
                Err(errno) => return Err(refused()(errno)),
            }
        }
        Ok(Self(threads))
    }

    /// How many there were.
    #[cfg(feature = "landlock")]
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether each thread is in the sandbox: as `user`, where the process has
    /// become one.
    pub(crate) fn check(self, user: Option<u32>) -> Result<(), Error> {
        for thread in self.0 {
            let mut status = String::new();
            // Of a file alone it would first be asked how much there is.
            match thread.take(LONGEST).read_to_string(&mut status) {
                Ok(_) => check(&status, user)?,
                Err(error) if Errno::from_io_error(&error) == Some(Errno::SRCH) => {}
                Err(source) => {
                    let action = "look at a thread in /proc";
                    return Err(Error::System { action, source });
                }
            }
        }
        Ok(())
    }
}

/// Whether a thread of this `/proc/PID/status` (Linux,
/// `Documentation/filesystems/proc.rst`) is in the sandbox.
fn check(status: &str, user: Option<u32>) -> Result<(), Error> {
    expect(status, "NoNewPrivs", "1")?;
    // SECCOMP_MODE_FILTER
    expect(status, "Seccomp", "2")?;
    if let Some(user) = user {
        // Real, effective, saved, and for files.
        let ids = format!("{user}\t{user}\t{user}\t{user}");
        expect(status, "Uid", &ids)?;
        expect(status, "Gid", &ids)?;
        expect(status, "Groups", "")?;
        for capabilities in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            expect(status, capabilities, "0000000000000000")?;
        }
    }
    Ok(())
}

fn expect(status: &str, name: &str, value: &str) -> Result<(), Error> {
    let found = status
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find_map(|(key, found)| (key == name).then_some(found.trim()));
    match found {
        Some(found) if found == value => Ok(()),
        found => Err(Error::NotInForce(format!(
            "{name} {value:?} (it is {})",
            found.map_or("not told".into(), |found| format!("{found:?}"))
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "Name:\tx\nUid:\t7\t7\t7\t7\nGid:\t7\t7\t7\t7\nGroups:\t \n\
        CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n\
        CapBnd:\t000001ffffffffff\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n";

    #[test]
    fn all_of_it_has_to_be_in_force() {
        check(STATUS, Some(7)).unwrap();
        check(STATUS, None).unwrap();
        check(STATUS, Some(8)).unwrap_err();
        for (right, wrong) in [
            ("Uid:\t7\t7\t7\t7", "Uid:\t7\t7\t0\t7"),
            ("Gid:\t7\t7\t7\t7", "Gid:\t0\t7\t7\t7"),
            ("Groups:\t ", "Groups:\t0 6"),
            ("CapInh:\t0", "CapInh:\t1"),
            ("CapPrm:\t0", "CapPrm:\t1"),
            ("CapEff:\t0", "CapEff:\t1"),
            ("CapAmb:\t0", "CapAmb:\t1"),
            ("NoNewPrivs:\t1", "NoNewPrivs:\t0"),
            ("Seccomp:\t2", "Seccomp:\t0"),
            ("Seccomp:\t2", "Seccomp:\t1"),
            ("Seccomp:\t2\n", ""),
        ] {
            let status = STATUS.replace(right, wrong);
            assert_ne!(status, STATUS, "{right}");
            let error = check(&status, Some(7)).unwrap_err().to_string();
            assert!(
                error.contains("is not in force") || error.contains("(it is"),
                "{error}"
            );
        }
    }
}
