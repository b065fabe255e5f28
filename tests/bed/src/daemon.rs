//! `vgpud link`, which serves the channels of machines.

use std::fs::{self, File};
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::io::Errno;
use rustix::process::{Pid, Signal};
use serde_json::Value;

use crate::process::{self, Process};
use crate::stream::Stream;

/// The machine that a server attaches for. It is this process's own, as other tests' daemons note their machines' users at the
/// same place: two for one machine would take them from each other.
fn this_machine() -> String {
    format!("6f9619ff-8b86-d011-b42d-{:012x}", std::process::id())
}

/// The name of the socket for operators.
const CONTROL: &str = "control";

/// How long a daemon may take until it listens, on a busy machine.
const READY_LIMIT: Duration = Duration::from_secs(30);

/// The engine whose workers prove the way to a guest.
pub const ECHO: &str = "echo";

/// The same, whose workers never sleep.
pub const ECHO_AWAKE: &str = "echo-awake";

/// A daemon that runs until it is dropped.
#[derive(Debug)]
pub struct Daemon {
    process: Process,
    program: PathBuf,
    folder: tempfile::TempDir,
}

impl Daemon {
    /// Starts the program `vgpud` with an engine, and waits until it listens.
    ///
    /// # Errors
    /// When it cannot be started, or does not listen in time.
    pub fn start(program: &Path, engine: &str) -> Result<Self> {
        let folder = folder()?;
        Ok(Self {
            process: run(program, &folder, &["--engine", engine])?,
            program: program.to_owned(),
            folder,
        })
    }

    /// Starts it for the machines of a configuration.
    ///
    /// # Errors
    /// As [`Daemon::start`].
    pub fn of_machines(program: &Path, configuration: &str) -> Result<Self> {
        let folder = folder()?;
        let file = folder.path().join("link.toml");
        fs::write(&file, configuration)?;
        Ok(Self {
            process: run(program, &folder, &["--config", &file.display().to_string()])?,
            program: program.to_owned(),
            folder,
        })
    }

    /// The socket for operators.
    #[must_use]
    pub fn control(&self) -> PathBuf {
        self.folder.path().join(CONTROL)
    }

    /// What it tells operators of engines, machines and sessions.
    ///
    /// # Errors
    /// When it does not answer in time.
    pub fn status(&self) -> Result<Value> {
        let socket = UnixStream::connect(self.control()).context("vgpud's socket for operators")?;
        let mut socket = Stream::new(socket)?;
        socket.write_all(b"{\"do\":\"status\"}\n")?;
        let answer = socket.read_line(Instant::now() + READY_LIMIT)?;
        let mut answer: Value = serde_json::from_str(&answer)?;
        ensure!(answer["status"].is_object(), "vgpud says {answer}");
        Ok(answer["status"].take())
    }

    /// Starts another in place of one that was killed, and has left its socket.
    ///
    /// # Errors
    /// As [`Daemon::start`].
    pub fn start_again(&mut self, engine: &str) -> Result<()> {
        self.process = run(&self.program, &self.folder, &["--engine", engine])?;
        Ok(())
    }

    /// Ends it at once (SIGKILL), where it has not ended.
    ///
    /// # Errors
    /// When the kernel cannot tell of its end.
    pub fn kill(&mut self) -> Result<()> {
        let _ = self.process.signal(Signal::KILL);
        self.process.wait()?;
        Ok(())
    }

    /// What a server takes to attach to it, with a device that has features.
    #[must_use]
    pub fn arguments(&self) -> [String; 6] {
        self.arguments_of(&this_machine())
    }

    /// The same for a machine of the configuration, by its UUID.
    #[must_use]
    pub fn arguments_of(&self, machine: &str) -> [String; 6] {
        [
            "--device".to_owned(),
            "features=on".to_owned(),
            "--link".to_owned(),
            socket(&self.folder).display().to_string(),
            "--machine".to_owned(),
            machine.to_owned(),
        ]
    }

    /// The same as properties of QEMU's own device.
    #[must_use]
    pub fn properties(&self) -> String {
        self.properties_of(&this_machine())
    }

    /// The same for a machine of the configuration, by its UUID.
    #[must_use]
    pub fn properties_of(&self, machine: &str) -> String {
        let link = socket(&self.folder);
        format!("features=on,machine={machine},link={}", link.display())
    }

    /// The daemon's process id.
    #[must_use]
    pub fn pid(&self) -> Pid {
        self.process.pid()
    }

    /// What it has printed.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(log(&self.folder)).unwrap_or_default()
    }

    /// Its workers, all that have not been reaped.
    ///
    /// # Errors
    /// When it has ended.
    pub fn workers(&self) -> Result<Vec<Pid>> {
        let pid = self.pid();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        let all = children.split_whitespace();
        Ok(all
            .filter_map(|it| Pid::from_raw(it.parse().ok()?))
            .collect())
    }
}

fn folder() -> Result<tempfile::TempDir> {
    Ok(tempfile::Builder::new().prefix("vgpu-stub-").tempdir()?)
}

fn socket(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("link")
}

fn log(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("log")
}

fn run(program: &Path, folder: &tempfile::TempDir, words: &[&str]) -> Result<Process> {
    let log = File::options()
        .create(true)
        .append(true)
        .open(log(folder))?;
    let mut command = process::command(program);
    command
        .args(["link", "--socket"])
        .arg(socket(folder))
        .arg("--control")
        .arg(folder.path().join(CONTROL))
        .args(words)
        .stdin(Stdio::null())
        .stderr(log);
    let process = Process::start(command)?;
    let control = folder.path().join(CONTROL);
    within(READY_LIMIT, || {
        Ok(listens(&socket(folder)) && UnixStream::connect(&control).is_ok())
    })
    .context("vgpud does not listen")?;
    Ok(process)
}

/// Whether somebody listens at a socket of packets: who comes with one of another type is told so (Linux: `unix_find_bsd`).
fn listens(path: &Path) -> bool {
    let told = |error: io::Error| error.raw_os_error() == Some(Errno::PROTOTYPE.raw_os_error());
    UnixStream::connect(path).map_or_else(told, |_| true)
}

/// Waits until something is so.
///
/// # Errors
/// When it is not within `limit`, or cannot be told.
pub fn within(limit: Duration, mut so: impl FnMut() -> Result<bool>) -> Result<()> {
    let since = Instant::now();
    while !so()? {
        ensure!(since.elapsed() < limit, "not within {limit:?}");
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
