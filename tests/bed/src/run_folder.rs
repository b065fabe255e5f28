//! The folder of one run of QEMU or of the device's server: its sockets, its logs, and what a failure tells from them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context, Error, Result, anyhow};

use vgpu_terminal::OrMend;

const CONSOLE: &str = "console.log";
const STDERR: &str = "qemu-stderr.log";
const SERVER: &str = "server.log";
/// How many lines of each log an error shows.
const TAIL_LINES: usize = 15;

/// Goes with its last holder, unless it is to be kept or a test fails meanwhile.
#[derive(Debug, Clone)]
pub struct RunFolder(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    keep: AtomicBool,
}

impl RunFolder {
    /// Makes an empty folder among the temporary files.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new() -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("vgpu-stub-")
            .tempdir()
            .context("cannot make a temporary folder")
            .or_mend("Set TMPDIR to a folder that you can write to.")?;
        Ok(Self(Arc::new(Inner {
            path: folder.keep(),
            keep: AtomicBool::new(false),
        })))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Leaves it where it is.
    pub fn keep(&self) {
        self.0.keep.store(true, Ordering::Relaxed);
    }

    /// Where QEMU logs the guest's first serial port.
    pub fn console_path(&self) -> PathBuf {
        self.path().join(CONSOLE)
    }

    /// Where QEMU writes its own messages.
    pub fn stderr_path(&self) -> PathBuf {
        self.path().join(STDERR)
    }

    /// Where the device's server logs.
    pub fn server_path(&self) -> PathBuf {
        self.path().join(SERVER)
    }

    /// What the guest has printed to its first serial port.
    pub fn console(&self) -> String {
        read_lossy(&self.console_path())
    }

    /// What QEMU itself has printed.
    pub fn stderr(&self) -> String {
        read_lossy(&self.stderr_path())
    }

    /// What the device's server has printed.
    pub fn server(&self) -> String {
        read_lossy(&self.server_path())
    }

    /// Adds to `error` what those that run here said last, and keeps the folder.
    pub fn explain(&self, error: &Error) -> Error {
        self.keep();
        let mut text = format!("{error:#}");
        for (name, log) in [
            ("QEMU", self.stderr()),
            ("the guest's console", self.console()),
            ("the device's server", self.server()),
        ] {
            if let Some(tail) = tail(&log) {
                text += &format!("\n  {name}, last lines:{tail}");
            }
        }
        anyhow!("{text}\n  logs: {}", self.path().display())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("logs are kept in {}", self.path.display());
        } else if !*self.keep.get_mut() {
            // Nobody is left to tell, and the folder is in the way of nothing.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// A log that is missing is empty; a guest may print any bytes.
fn read_lossy(path: &Path) -> String {
    fs::read(path)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}

/// The last lines of `log`, marked as such, or nothing when it is blank.
fn tail(log: &str) -> Option<String> {
    let lines: Vec<_> = log.lines().filter(|line| !line.trim().is_empty()).collect();
    let tail = &lines[lines.len().saturating_sub(TAIL_LINES)..];
    (!tail.is_empty()).then(|| {
        tail.iter()
            .map(|line| format!("\n    | {}", line.trim_end()))
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_tells_what_was_said_last() {
        let folder = RunFolder::new().unwrap();
        fs::write(folder.stderr_path(), "qemu: no such device\n").unwrap();
        let console: Vec<_> = (1..=20).map(|n| format!("line {n}\r\n")).collect();
        fs::write(folder.console_path(), console.concat()).unwrap();
        let text = folder
            .explain(&anyhow!("cause").context("what"))
            .to_string();
        let path = folder.path().to_path_buf();
        drop(folder);
        assert!(
            text.starts_with("what: cause\n  QEMU, last lines:\n    | qemu: no such device\n"),
            "{text}"
        );
        assert!(
            text.contains("console, last lines:\n    | line 6\n"),
            "{text}"
        );
        assert!(
            text.ends_with(&format!("    | line 20\n  logs: {}", path.display())),
            "{text}"
        );
        assert!(path.exists(), "an error that names the folder keeps it");
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn the_folder_goes_with_its_last_holder() {
        let folder = RunFolder::new().unwrap();
        let other = folder.clone();
        let path = folder.path().to_path_buf();
        drop(folder);
        assert!(path.exists());
        drop(other);
        assert!(!path.exists());
    }
}
