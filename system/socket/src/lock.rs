//! The lock that orders servers that start at the same path at once.
//!
//! It is a file of its own beside the socket, which no other user can open:
//! whoever can read a folder can lock the folder itself, and for good.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{self, AtFlags, FileType, FlockOperation, Mode, OFlags};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::process::geteuid;

use crate::BindError;
use crate::file_id::FileId;

/// How long to wait for other starting servers, which need microseconds each.
const LIMIT: Duration = Duration::from_secs(2);

/// How long to wait between two looks at the lock.
const INTERVAL: Duration = Duration::from_millis(1);

/// A lock that is held. Its file goes away when it is dropped; one that a
/// killed process leaves is used again.
#[derive(Debug)]
pub(crate) struct Lock {
    folder: OwnedFd,
    name: OsString,
    _file: OwnedFd,
}

impl Lock {
    /// Takes the lock of the socket `name` in `folder`, whose path is for
    /// errors alone.
    pub(crate) fn take(
        folder: &OwnedFd,
        folder_path: &Path,
        name: &OsStr,
    ) -> Result<Self, BindError> {
        let mut lock_name = OsString::from(".");
        lock_name.push(name);
        lock_name.push(".lock");
        let path = || folder_path.join(&lock_name);
        let refused = |error: Errno| BindError::System {
            action: "make the lock file",
            path: path(),
            source: error.into(),
        };
        let folder = fcntl_dupfd_cloexec(folder, 0).map_err(refused)?;
        let deadline = Instant::now() + LIMIT;
        loop {
            match attempt(&folder, &lock_name) {
                Ok(file) => {
                    return Ok(Self {
                        folder,
                        name: lock_name,
                        _file: file,
                    });
                }
                Err(Failed::Busy) if Instant::now() < deadline => thread::sleep(INTERVAL),
                Err(Failed::Busy) => return Err(BindError::Locked { lock: path() }),
                Err(Failed::Foreign) => return Err(BindError::ForeignLock { lock: path() }),
                Err(Failed::System(error)) => return Err(refused(error)),
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While it is held: who waits for it sees that the name is gone, or
        // another's, and makes a file anew.
        let _ = fs::unlinkat(&self.folder, &self.name, AtFlags::empty());
    }
}

enum Failed {
    Busy,
    Foreign,
    System(Errno),
}

impl From<Errno> for Failed {
    fn from(error: Errno) -> Self {
        match error {
            Errno::AGAIN | Errno::INTR => Self::Busy,
            // A link, a folder or a socket; or a file that is not this user's.
            Errno::LOOP | Errno::ISDIR | Errno::NXIO | Errno::ACCESS => Self::Foreign,
            error => Self::System(error),
        }
    }
}

fn attempt(folder: &OwnedFd, name: &OsStr) -> Result<OwnedFd, Failed> {
    let flags = OFlags::RDWR
        | OFlags::CREATE
        | OFlags::NOFOLLOW
        // A FIFO would be waited for.
        | OFlags::NONBLOCK
        | OFlags::CLOEXEC;
    let owner = Mode::RUSR | Mode::WUSR;
    let file = fs::openat(folder, name, flags, owner)?;
    let stat = fs::fstat(&file)?;
    let ours = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
        && stat.st_uid == geteuid().as_raw()
        && owner.contains(Mode::from_raw_mode(stat.st_mode));
    if !ours {
        return Err(Failed::Foreign);
    }
    fs::flock(file.as_fd(), FlockOperation::NonBlockingLockExclusive)?;
    // Its former holder may have removed it since it was opened.
    match fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(named) if FileId::of(&named) == FileId::of(&stat) => Ok(file),
        Ok(_) | Err(Errno::NOENT) => Err(Failed::Busy),
        Err(error) => Err(error.into()),
    }
}
