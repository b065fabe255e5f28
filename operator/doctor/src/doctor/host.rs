//! The host as the doctor reaches it: files and commands. Nothing here waits
//! without end, or reads without bound.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::OFlags;
use vgpu_program::RunError;

/// What is read of a file.
const MOST: u64 = 4 << 20;

/// What is read of a log: its end.
const MOST_OF_A_LOG: u64 = 256 << 10;

/// Files below a folder, which is / outside of tests, and the commands of
/// `PATH`.
#[derive(Debug)]
pub(super) struct Host {
    root: PathBuf,
    /// How long a command may run, and a socket may take to answer.
    pub(super) limit: Duration,
}

impl Host {
    pub(super) fn new(root: &Path, limit: Duration) -> Self {
        let root = root.to_owned();
        Self { root, limit }
    }

    /// Where an absolute path of the host is.
    pub(super) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// The beginning of a regular file.
    pub(super) fn bytes(&self, path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.open(path.as_ref())?
            .take(MOST)
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// The same as text, without the white space around it.
    pub(super) fn text(&self, path: impl AsRef<Path>) -> io::Result<String> {
        let bytes = self.bytes(path)?;
        Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
    }

    /// The end of a log.
    pub(super) fn log(&self, path: impl AsRef<Path>) -> io::Result<String> {
        let mut file = self.open(path.as_ref())?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(MOST_OF_A_LOG)))?;
        let mut bytes = Vec::new();
        file.take(MOST_OF_A_LOG).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The names in a folder; none where it cannot be read.
    pub(super) fn names(&self, path: impl AsRef<Path>) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path(path)) else {
            return Vec::new();
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names.collect()
    }

    /// Where a link leads.
    pub(super) fn link(&self, path: impl AsRef<Path>) -> Option<PathBuf> {
        fs::read_link(self.path(path)).ok()
    }

    pub(super) fn exists(&self, path: impl AsRef<Path>) -> bool {
        self.path(path).exists()
    }

    /// Whether there is a file that can be run.
    pub(super) fn is_program(&self, path: impl AsRef<Path>) -> bool {
        let metadata = fs::metadata(self.path(path));
        metadata.is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
    }

    /// What a command prints to stdout.
    pub(super) fn run(
        &self,
        program: impl AsRef<OsStr>,
        arguments: &[&str],
    ) -> Result<String, RunError> {
        vgpu_program::output(program, arguments, Some(self.limit))
    }

    /// Opens a regular file. A pipe would wait for who writes to it.
    fn open(&self, path: &Path) -> io::Result<File> {
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let file = File::options()
            .read(true)
            .custom_flags(flags)
            .open(self.path(path))?;
        if file.metadata()?.is_file() {
            return Ok(file);
        }
        Err(io::Error::other("not a regular file"))
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_pipe_is_no_file_to_wait_for() {
        let folder = tempfile::tempdir().unwrap();
        let made = Command::new("mkfifo")
            .arg(folder.path().join("pipe"))
            .status();
        assert!(made.unwrap().success());
        let host = Host::new(folder.path(), Duration::from_secs(1));
        assert!(host.text("/pipe").is_err());
    }
}
