//! A daemon that has echo workers serve channels.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::Pid;

use crate::common::environment;

const MACHINE: &str = "6f9619ff-8b86-d011-b42d-00c04fc964ff";

/// How long a daemon may take until it listens, on a busy machine.
const READY_LIMIT: Duration = Duration::from_secs(20);

pub(super) struct Daemon {
    child: Child,
    folder: tempfile::TempDir,
}

impl Daemon {
    pub(super) fn start() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("vgpu-stub-").tempdir()?;
        let child = Self::run(&folder)?;
        Ok(Self { child, folder })
    }

    /// Starts another in place of one that was killed, and has left its socket.
    pub(super) fn start_again(&mut self) -> Result<()> {
        self.child = Self::run(&self.folder)?;
        Ok(())
    }

    pub(super) fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    fn run(folder: &tempfile::TempDir) -> Result<Child> {
        let socket = folder.path().join("link");
        let log = folder.path().join("log");
        let log = File::options().create(true).append(true).open(log)?;
        let child = Command::new(environment("VGPU_STUB_CUDA_PROGRAMS")?.join("vgpud"))
            .args(["link", "--engine", "echo", "--socket"])
            .arg(&socket)
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .context("cannot start vgpud")?;
        within(READY_LIMIT, || Ok(socket.exists())).context("vgpud does not listen")?;
        Ok(child)
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("link")
    }

    /// What a server takes to attach to it.
    pub(super) fn arguments(&self) -> [String; 6] {
        [
            "--device".to_owned(),
            "features=on".to_owned(),
            "--link".to_owned(),
            self.socket().display().to_string(),
            "--machine".to_owned(),
            MACHINE.to_owned(),
        ]
    }

    pub(super) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// What it has printed.
    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Its workers, all that have not been reaped.
    pub(super) fn workers(&self) -> Result<Vec<Pid>> {
        let pid = self.pid();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        let all = children.split_whitespace();
        Ok(all
            .filter_map(|it| Pid::from_raw(it.parse().ok()?))
            .collect())
    }

    /// How many descriptors it has open.
    pub(super) fn descriptors(&self) -> Result<usize> {
        Ok(fs::read_dir(format!("/proc/{}/fd", self.pid()))?.count())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// Waits until something is so.
pub(super) fn within(limit: Duration, mut so: impl FnMut() -> Result<bool>) -> Result<()> {
    let since = Instant::now();
    while !so()? {
        ensure!(since.elapsed() < limit, "not within {limit:?}");
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
