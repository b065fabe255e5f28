//! The device in a process of its own, which a stock QEMU reaches by a socket.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal};
use serde_json::{Map, Value, json};

use crate::process::{self, Process};
use crate::run_folder::RunFolder;
use crate::stock_qemu::DEVICE;
use crate::stream::Stream;

/// How long a server may take until it is ready, on a busy machine.
const READY_LIMIT: Duration = Duration::from_secs(30);

/// `vgpu-stub vfio-user`, which runs until it is dropped.
#[derive(Debug)]
pub struct Server {
    // Dropped, and so ended, first: the folder goes last.
    process: Process,
    /// Its standard output, which stays open for what it may print later.
    output: Stream,
    socket: PathBuf,
    folder: RunFolder,
}

impl Server {
    /// Starts `program vfio-user --socket … arguments…` on a socket in a folder of its own, and waits until it is ready.
    ///
    /// # Errors
    /// When it cannot be started, ends, or is not ready in time: the error then holds what it says.
    pub fn start(
        program: &Path,
        arguments: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Result<Self> {
        let folder = RunFolder::new()?;
        let socket = folder.path().join("vfio-user.sock");
        Self::start_in(folder, program, &socket, arguments)
    }

    /// The same on `socket`, which may be one that another server has or has left. A server's own goes with it.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start_at(
        program: &Path,
        socket: &Path,
        arguments: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Result<Self> {
        Self::start_in(RunFolder::new()?, program, socket, arguments)
    }

    fn start_in(
        folder: RunFolder,
        program: &Path,
        socket: &Path,
        arguments: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Result<Self> {
        let (output, its_output) = UnixStream::pair()?;
        let mut command = process::command(program);
        command
            .args(["vfio-user", "--socket"])
            .arg(socket)
            .args(arguments.into_iter().map(Into::into))
            .stdin(Stdio::null())
            .stdout(OwnedFd::from(its_output))
            .stderr(File::create(folder.server_path())?);
        fs::write(folder.path().join("command"), format!("{command:?}\n"))?;

        let mut server = Self {
            process: Process::start(command)?,
            output: Stream::new(output)?,
            socket: socket.to_path_buf(),
            folder,
        };
        match server.wait_ready() {
            Ok(()) => Ok(server),
            Err(error) => {
                // Most often it has ended, as it cannot have the socket.
                let ended = server.process.wait_within(Duration::from_secs(1));
                let error = match ended {
                    Ok(status) => anyhow!("{} ended ({status})", program.display()),
                    Err(_) => error.context(format!("{} is not ready", program.display())),
                };
                Err(server.folder.explain(&error))
            }
        }
    }

    fn wait_ready(&mut self) -> Result<()> {
        let line = self.output.read_line(Instant::now() + READY_LIMIT)?;
        if line != format!("vgpu-stub vfio-user: ready on {}", self.socket.display()) {
            bail!("it says {line:?}");
        }
        Ok(())
    }

    /// The socket that QEMU connects to.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The server's process id.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.process.pid()
    }

    /// The process id of its guard, the one process that it starts.
    ///
    /// # Errors
    /// When there is none.
    pub fn guard(&self) -> Result<Pid> {
        let pid = self.pid();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        let guard = children.trim().parse().ok().and_then(Pid::from_raw);
        guard.with_context(|| format!("the server's processes are {children:?}"))
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When it has ended.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        self.process
            .signal(signal)
            .context("cannot send the server a signal")
            .map_err(|error| self.folder.explain(&error))
    }

    /// Ends it at once (SIGKILL), so that it cannot clean up.
    ///
    /// # Errors
    /// When it has ended before.
    pub fn kill(&mut self) -> Result<()> {
        self.signal(Signal::KILL)?;
        self.process.wait()?;
        Ok(())
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it still runs after `limit`.
    pub fn wait_exit(&mut self, limit: Duration) -> Result<ExitStatus> {
        self.process
            .wait_within(limit)
            .context("the server did not exit")
            .map_err(|error| self.folder.explain(&error))
    }

    /// Has it end (SIGTERM), and waits until it has taken its socket away.
    ///
    /// # Errors
    /// When it does not end within half a minute, or fails, or leaves the socket.
    pub fn stop(&mut self) -> Result<()> {
        self.signal(Signal::TERM)?;
        let status = self.wait_exit(Duration::from_secs(30))?;
        let left = match (status.success(), self.socket.exists()) {
            (true, false) => return Ok(()),
            (true, true) => anyhow!("the server left its socket"),
            (false, _) => anyhow!("the server failed ({status})"),
        };
        Err(self.folder.explain(&left))
    }

    /// What it has printed to its standard error.
    #[must_use]
    pub fn log(&self) -> String {
        self.folder.server()
    }

    /// The folder with its log; what a test puts there goes with the server.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Leaves that folder where it is.
    pub fn keep_folder(&self) {
        self.folder.keep();
    }
}

/// The device that a server has on `socket`, as QEMU's option `-device` takes it, with further properties of QEMU's
/// device, such as `("addr", "5".into())`.
#[must_use]
pub fn qemu_device(socket: &Path, properties: &[(&str, Value)]) -> String {
    let mut device = Map::new();
    device.insert("driver".into(), DEVICE.into());
    device.insert(
        "socket".into(),
        json!({ "type": "unix", "path": socket.to_string_lossy() }),
    );
    for (name, value) in properties {
        device.insert((*name).to_string(), value.clone());
    }
    Value::Object(device).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_does_not_start_says_why() {
        // cat takes no such option, as a server would not that is too old.
        let error = Server::start(Path::new("cat"), ["--quiet"]).unwrap_err();
        let text = format!("{error:#}");
        assert!(text.starts_with("cat ended (exit status: 1)\n"), "{text}");
        assert!(
            text.contains("the device's server, last lines:\n    | cat: unrecognized option"),
            "{text}"
        );
        let (_, folder) = text.split_once("logs: ").unwrap();
        let command = fs::read_to_string(Path::new(folder).join("command")).unwrap();
        let socket = format!("\"vfio-user\" \"--socket\" \"{folder}/vfio-user.sock\" \"--quiet\"");
        assert!(command.contains(&socket), "{command}");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn only_the_ready_line_is_ready() {
        let error = Server::start(Path::new("echo"), [""; 0]).unwrap_err();
        let text = format!("{error:#}");
        assert!(text.starts_with("echo ended (exit status: 0)"), "{text}");
        let (_, folder) = text.split_once("logs: ").unwrap();
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn qemu_takes_the_device_as_json() {
        let properties = [("addr", "5".into()), ("x-msg-timeout", 1000.into())];
        let device: Value =
            serde_json::from_str(&qemu_device(Path::new("/run/a,b.sock"), &properties)).unwrap();
        assert_eq!(
            device,
            json!({
                "driver": "vfio-user-pci",
                "socket": { "type": "unix", "path": "/run/a,b.sock" },
                "addr": "5",
                "x-msg-timeout": 1000,
            })
        );
    }
}
