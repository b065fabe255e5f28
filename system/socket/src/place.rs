//! Where a socket's file lives: a folder, held open, and a name in it.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::BindError;
use crate::file_id::FileId;
use crate::lock::Lock;

/// A name in a folder that is held open, so that neither a change of the
/// working directory nor a rename of the folder leads elsewhere.
#[derive(Debug)]
pub(crate) struct Place {
    folder: OwnedFd,
    folder_path: PathBuf,
    name: OsString,
}

impl Place {
    pub(crate) fn of(path: &Path) -> Result<Self, BindError> {
        let name = path.file_name().ok_or_else(|| BindError::NotASocket {
            path: path.to_owned(),
        })?;
        let folder_path = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        let folder = fs::open(
            &folder_path,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        );
        match folder {
            Ok(folder) => Ok(Self {
                folder,
                folder_path,
                name: name.to_owned(),
            }),
            Err(Errno::NOENT | Errno::NOTDIR) => Err(BindError::NoFolder {
                folder: folder_path,
            }),
            Err(error) => Err(BindError::System {
                action: "open the folder",
                path: folder_path,
                source: error.into(),
            }),
        }
    }

    /// Locks the place against other starting servers, until it is dropped.
    pub(crate) fn lock(&self) -> Result<Lock, BindError> {
        Lock::take(&self.folder, &self.folder_path, &self.name)
    }

    /// The file at the place, which is itself not opened or followed.
    pub(crate) fn stat(&self) -> Result<(FileId, FileType), Errno> {
        let (file, kind, _) = self.stat_with_time()?;
        Ok((file, kind))
    }

    /// The same, with when it was last changed.
    pub(crate) fn stat_with_time(&self) -> Result<(FileId, FileType, (i64, u64)), Errno> {
        let stat = fs::statat(&self.folder, &self.name, AtFlags::SYMLINK_NOFOLLOW)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        Ok((FileId::of(&stat), kind, (stat.st_ctime, stat.st_ctime_nsec)))
    }

    pub(crate) fn remove(&self) -> Result<(), Errno> {
        fs::unlinkat(&self.folder, &self.name, AtFlags::empty())
    }

    /// Gives the file exactly this mode, if it is still `file`.
    pub(crate) fn set_mode(&self, file: FileId, mode: Mode) -> Result<(), Errno> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = fs::openat(&self.folder, &self.name, flags, Mode::empty())?;
        let stat = fs::fstat(&opened)?;
        if FileId::of(&stat) != file {
            return Err(Errno::STALE);
        }
        if Mode::from_raw_mode(stat.st_mode) == mode {
            return Ok(());
        }
        // By descriptor, as a name could lead to another file by now. chmod
        // takes descriptors of this kind by their name in /proc alone.
        let opened = rustix::path::DecInt::from_fd(&opened);
        fs::chmod(Path::new("/proc/self/fd").join(opened), mode)
    }
}
