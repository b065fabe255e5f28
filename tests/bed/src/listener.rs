//! A UNIX socket that a process started later connects to.

use std::io::ErrorKind;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process::Process;
use vgpu_terminal::OrMend;

/// How long the process may take, on a busy machine.
const CONNECT_LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(5);

/// It listens before the process starts, so no connection comes too late.
#[derive(Debug)]
pub struct Listener {
    path: PathBuf,
    socket: UnixListener,
}

impl Listener {
    /// Listens on a new socket at `path`.
    ///
    /// # Errors
    /// When there is something at `path` already, or the path is too long for a socket.
    pub fn bind(path: PathBuf) -> Result<Self> {
        let socket = UnixListener::bind(&path)
            .with_context(|| format!("cannot listen on {}", path.display()))
            .or_mend("Set TMPDIR to a folder with a short name.")?;
        socket.set_nonblocking(true)?;
        Ok(Self { path, socket })
    }

    /// The socket's path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The connection that `process` makes.
    ///
    /// # Errors
    /// When the process ends, or a minute passes, before it connects.
    pub fn accept(&self, process: &mut Process) -> Result<UnixStream> {
        let deadline = Instant::now() + CONNECT_LIMIT;
        loop {
            match self.socket.accept() {
                Ok((stream, _)) => return Ok(stream),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error).context("cannot accept a connection"),
            }
            if process.ended()?.is_some() || Instant::now() >= deadline {
                bail!("no connection came to {}", self.path.display());
            }
            thread::sleep(POLL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::command;

    #[test]
    fn a_process_that_ended_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let listener = Listener::bind(folder.path().join("x.sock")).unwrap();
        let mut process = Process::start(command(Path::new("true"))).unwrap();
        let started = Instant::now();
        let error = listener.accept(&mut process).unwrap_err().to_string();
        assert!(error.starts_with("no connection came to /"), "{error}");
        assert!(started.elapsed() < CONNECT_LIMIT / 2);
    }

    #[test]
    fn a_path_that_is_too_long_is_an_error_with_a_remedy() {
        let error = Listener::bind(PathBuf::from(format!("/tmp/{}", "x".repeat(200)))).unwrap_err();
        let text = vgpu_terminal::describe(&error);
        assert!(
            text.ends_with("\nmend:  Set TMPDIR to a folder with a short name.\n"),
            "{text}"
        );
    }
}
