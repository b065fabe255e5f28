//! The host as the doctor reaches it: files and commands. Nothing here waits
//! without end, or reads without bound.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;

/// What is read of a file, and of a command's output.
const MOST: u64 = 4 << 20;

/// What is read of a log: its end.
const MOST_OF_A_LOG: u64 = 256 << 10;

/// How often a command is looked after.
const POLL: Duration = Duration::from_millis(5);

/// Files below a folder, which is / outside of tests, and the commands of
/// `PATH`.
#[derive(Debug)]
pub(super) struct Host {
    root: PathBuf,
    /// How long a command may run, and a socket may take to answer.
    pub(super) limit: Duration,
}

/// Why a command has no output.
#[derive(Debug)]
pub(super) enum RunError {
    /// It is not installed.
    Missing,
    /// It did not end in time.
    TimedOut,
    /// It failed, and said this.
    Failed(String),
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("not installed"),
            Self::TimedOut => f.write_str("no end in time"),
            Self::Failed(said) => f.write_str(said),
        }
    }
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
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => RunError::Missing,
                _ => RunError::Failed(error.to_string()),
            })?;
        let deadline = Instant::now() + self.limit;
        let (output, errors) = (collect(child.stdout.take()), collect(child.stderr.take()));
        let success = wait(&mut child, deadline)?;
        // Who the command left behind may keep them open.
        let left = deadline.saturating_duration_since(Instant::now()) + POLL;
        let output = output.recv_timeout(left).map_err(|_| RunError::TimedOut)?;
        if success {
            return Ok(output);
        }
        let said = errors.recv_timeout(left).unwrap_or_default();
        let said = if said.trim().is_empty() { output } else { said };
        let line = said.lines().rfind(|line| !line.trim().is_empty());
        Err(RunError::Failed(line.unwrap_or("it failed").to_owned()))
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

/// Whether it succeeds; it is ended at the deadline.
fn wait(child: &mut Child, deadline: Instant) -> Result<bool, RunError> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status.success()),
            Ok(None) if Instant::now() < deadline => thread::sleep(POLL),
            ended => {
                // They fail where it has just ended.
                let _ = child.kill();
                let _ = child.wait();
                return Err(match ended {
                    Ok(_) => RunError::TimedOut,
                    Err(error) => RunError::Failed(error.to_string()),
                });
            }
        }
    }
}

fn collect(output: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (said, hear) = mpsc::sync_channel(1);
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(output) = output {
            let _ = output.take(MOST).read_to_end(&mut bytes);
        }
        // Nobody hears what comes too late.
        let _ = said.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    hear
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(limit: Duration) -> Host {
        Host::new(Path::new("/"), limit)
    }

    #[test]
    fn a_command_that_does_not_end_is_ended() {
        let started = Instant::now();
        let error = host(Duration::from_millis(50)).run("sleep", &["60"]);
        assert!(matches!(error, Err(RunError::TimedOut)), "{error:?}");
        assert!(started.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn nor_is_one_waited_for_that_leaves_its_output_to_another() {
        let started = Instant::now();
        let error = host(Duration::from_millis(100)).run("sh", &["-c", "sleep 3 & echo started"]);
        assert!(matches!(error, Err(RunError::TimedOut)), "{error:?}");
        assert!(started.elapsed() < Duration::from_secs(3));
    }

    #[test]
    fn a_failure_is_what_the_command_says_last() {
        let host = host(Duration::from_secs(20));
        let script = "echo first >&2; echo 'no such domain' >&2; exit 3";
        let error = host.run("sh", &["-c", script]).unwrap_err();
        assert_eq!(error.to_string(), "no such domain");
        assert!(matches!(
            host.run("vgpu-no-such-program", &[]),
            Err(RunError::Missing)
        ));
        assert_eq!(host.run("echo", &["a"]).unwrap(), "a\n");
    }

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
