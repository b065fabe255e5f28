//! The folder of a domain's emulator, of which there is one at a time.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use xen_dm::DomainId;

use crate::error::Error;
use crate::kept::Kept;
use crate::layout::Folder;

/// How often a folder may go while it is being locked, as its owner ends.
const ATTEMPTS: usize = 16;

/// The name of the file that is locked.
const LOCK: &str = "lock";

/// The folder, locked. It goes with this, unless a record in it tells of
/// something that is left.
#[derive(Debug)]
pub(crate) struct RunFolder {
    folder: Folder,
    _lock: File,
}

impl RunFolder {
    /// Makes the folder where it is missing.
    ///
    /// # Errors
    ///
    /// [`Error::Busy`] where there is a supervisor, or a process that answers
    /// on without one.
    pub(crate) fn lock(domain: DomainId) -> Result<Self, Error> {
        let folder = Folder::of(domain);
        let refused = |source| Error::Folder {
            path: folder.path().to_owned(),
            source,
        };
        for _ in 0..ATTEMPTS {
            let Some(lock) = try_lock(folder.path()).map_err(refused)? else {
                continue;
            };
            match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) if !is_at(&lock, &folder.path().join(LOCK)) => continue,
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => break,
                Err(errno) => return Err(refused(errno.into())),
            }
            if Kept::is_held(&folder.kept()).map_err(refused)? {
                break;
            }
            return Ok(Self {
                folder,
                _lock: lock,
            });
        }
        Err(Error::Busy(domain))
    }

    pub(crate) fn files(&self) -> &Folder {
        &self.folder
    }

    fn remove(&self) -> io::Result<()> {
        // The lock last: who comes from then on has a file of its own.
        for entry in fs::read_dir(self.folder.path())? {
            let entry = entry?;
            match entry.file_type()? {
                _ if entry.file_name() == LOCK => {}
                kind if kind.is_dir() => fs::remove_dir_all(entry.path())?,
                _ => fs::remove_file(entry.path())?,
            }
        }
        fs::remove_file(self.folder.path().join(LOCK))?;
        fs::remove_dir(self.folder.path())
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        if !self.folder.record().exists() {
            let _ = self.remove();
        }
    }
}

/// The file to be locked; none where the folder went meanwhile.
fn try_lock(folder: &Path) -> io::Result<Option<File>> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    match File::create(folder.join(LOCK)) {
        Ok(lock) => Ok(Some(lock)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether this file is the one at the path, still.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(file), Ok(at)) => (file.dev(), file.ino()) == (at.dev(), at.ino()),
        _ => false,
    }
}
