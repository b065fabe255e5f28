//! A file that takes another's place at once, or not at all.
//!
//! ```
//! use std::fs;
//! use vgpu_new_file::{NewFile, Permissions, beside};
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("settings");
//! fs::write(&path, "old")?;
//!
//! let new = NewFile::write(beside(&path, ".", ".new"), &mut &b"new"[..], Permissions::Owner)?;
//! assert_eq!(fs::read(&path)?, b"old");
//! new.rename(&path)?;
//! assert_eq!(fs::read(&path)?, b"new");
//! # Ok::<(), std::io::Error>(())
//! ```
#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::{Gid, Mode, Uid, fchmod, fchown};

/// Who may use a new file.
#[derive(Clone, Copy, Debug)]
pub enum Permissions<'a> {
    /// Its owner alone, who is this process's user.
    Owner,
    /// As any file that this process makes, by its umask.
    Umask,
    /// As another file, which tells its owner too.
    Like(&'a Metadata),
}

/// A file that is not in its place yet. It goes away unless it is renamed.
#[derive(Debug)]
pub struct NewFile(PathBuf);

impl NewFile {
    /// Writes it to disk. Nobody else may use the path: what is there is removed.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn write(
        path: PathBuf,
        content: &mut dyn Read,
        permissions: Permissions<'_>,
    ) -> io::Result<Self> {
        // It is left from a run that was killed.
        let _ = fs::remove_file(&path);
        let new = Self(path);
        let mut file = File::options()
            .write(true)
            .create_new(true)
            .mode(match permissions {
                Permissions::Umask => 0o666,
                Permissions::Owner | Permissions::Like(_) => 0o600,
            })
            .open(&new.0)?;
        io::copy(content, &mut file)?;
        if let Permissions::Like(like) = permissions {
            let own = file.metadata()?;
            if (own.uid(), own.gid()) != (like.uid(), like.gid()) {
                let owner = Some(Uid::from_raw(like.uid()));
                fchown(&file, owner, Some(Gid::from_raw(like.gid())))?;
            }
            // After the owner, whose change takes bits away.
            let mode = like.permissions().mode() & 0o7777;
            fchmod(&file, Mode::from_raw_mode(mode))?;
        }
        file.sync_all()?;
        Ok(new)
    }

    /// Where it is until then.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Puts it in place of what is there.
    ///
    /// # Errors
    ///
    /// It goes away.
    pub fn rename(self, to: &Path) -> io::Result<()> {
        fs::rename(&self.0, to)
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        // It may not have been made, or been renamed.
        let _ = fs::remove_file(&self.0);
    }
}

/// The path of a file beside another: its name between two ends.
#[must_use]
pub fn beside(path: &Path, before: &str, after: &str) -> PathBuf {
    let mut name = OsString::from(before);
    name.push(path.file_name().unwrap_or_default());
    name.push(after);
    path.with_file_name(name)
}

/// A path beside another that nobody else of this host uses, for a file that several may replace at a time.
#[must_use]
pub fn unique_beside(path: &Path) -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    path.with_file_name(format!(".vgpu-new-{}-{count}", process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permissions_are_those_that_were_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let old = folder.path().join("old");
        fs::write(&old, "").unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o7777;
        let write = |permissions| {
            let new = NewFile::write(unique_beside(&old), &mut io::empty(), permissions);
            mode(new.unwrap().path())
        };
        assert_eq!(write(Permissions::Umask), mode(&old));
        assert_eq!(write(Permissions::Owner), 0o600);
        fs::set_permissions(&old, fs::Permissions::from_mode(0o4751)).unwrap();
        let like = old.metadata().unwrap();
        assert_eq!(write(Permissions::Like(&like)), 0o4751);
        let left = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 1, "what was not renamed is gone");
    }
}
