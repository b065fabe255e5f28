//! A server as a process, and a client of another make.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use vfio_user::Client;
use vgpu_emulator::Call;

pub(crate) const CONFIG: u32 = 7;
pub(crate) const BAR0: u32 = 0;
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// A folder for sockets.
pub(crate) struct Bed(pub(crate) TempDir);

impl Bed {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.0.path().join("vgpu.sock")
    }

    pub(crate) fn control(&self) -> PathBuf {
        self.0.path().join("control.sock")
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vgpu-emulator"));
        command
            .arg("vfio-user")
            .arg(Call::version_word())
            .arg("--socket")
            .arg(self.socket())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn serve(&self, arguments: &[&str]) -> Serving {
        Serving::start(self.command().args(arguments))
    }

    pub(crate) fn files(&self) -> usize {
        fs::read_dir(self.0.path()).unwrap().count()
    }
}

/// A server that is ready. It does not outlive its test.
pub(crate) struct Serving(Child);

impl Serving {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let stdout = child.stdout.as_mut().unwrap();
        let mut line = String::new();
        // One line and no more, so nothing is lost in this buffer.
        BufReader::new(stdout).read_line(&mut line).unwrap();
        assert!(
            line.starts_with("vgpu-stub vfio-user: ready on /"),
            "{line}"
        );
        Self(child)
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.0)
    }

    /// Stops it, until it is told to go on.
    pub(crate) fn pause(&self) {
        kill_process(self.pid(), Signal::STOP).unwrap();
        let status = format!("/proc/{}/status", self.0.id());
        while !fs::read_to_string(&status).unwrap().contains("State:\tT") {
            thread::yield_now();
        }
    }

    /// Ends it by a signal; its exit code and its log.
    pub(crate) fn end(mut self, signal: Signal) -> (Option<i32>, String) {
        kill_process(self.pid(), signal).unwrap();
        self.ended()
    }

    /// Ends it by a signal where its log goes elsewhere; its exit code.
    pub(crate) fn end_without_log(mut self, signal: Signal) -> Option<i32> {
        kill_process(self.pid(), signal).unwrap();
        self.0.wait().unwrap().code()
    }

    pub(crate) fn ended(&mut self) -> (Option<i32>, String) {
        let mut log = String::new();
        let mut stderr = self.0.stderr.take().unwrap();
        stderr.read_to_string(&mut log).unwrap();
        (self.0.wait().unwrap().code(), log)
    }

    /// Resident memory in KiB.
    pub(crate) fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.unwrap().trim().strip_suffix(" kB").unwrap();
        kib.parse().unwrap()
    }

    pub(crate) fn descriptors(&self) -> usize {
        let path = format!("/proc/{}/fd", self.0.id());
        fs::read_dir(path).unwrap().count()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn read(client: &mut Client, region: u32, offset: u64) -> u32 {
    let mut data = [0; 4];
    client.region_read(region, offset, &mut data).unwrap();
    u32::from_le_bytes(data)
}

/// A guest writes a number into a register, and reads it again.
pub(crate) fn write_and_read(client: &mut Client, number: u32) {
    let bytes = number.to_le_bytes();
    client.region_write(BAR0, 0x10, &bytes).unwrap();
    assert_eq!(read(client, BAR0, 0x10), number);
}

/// A client once the server has noticed that the last one left.
pub(crate) fn connect(path: &Path) -> Client {
    let deadline = Instant::now() + LIMIT;
    loop {
        match Client::new(path) {
            Ok(client) => return client,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
    }
}
