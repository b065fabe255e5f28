//! What several of these tests use.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Lines};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use tempfile::TempDir;

/// A program of `examples/`, which is built with the tests.
pub(crate) fn example(name: &str) -> PathBuf {
    let path = std::env::current_exe().unwrap();
    let path = path.with_file_name(format!("../examples/{name}"));
    assert!(path.is_file(), "{}", path.display());
    path
}

pub(crate) fn kill(process: u32) {
    if let Some(process) = Pid::from_raw(process.cast_signed()) {
        let _ = kill_process(process, Signal::KILL);
    }
}

/// Stops a process: it does nothing more when this returns.
pub(crate) fn stop(process: u32) {
    let process = Pid::from_raw(process.cast_signed()).unwrap();
    kill_process(process, Signal::STOP).unwrap();
    eventually("it goes on", || {
        let threads = fs::read_dir(format!("/proc/{}/task", process.as_raw_pid())).unwrap();
        let stat = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("stat"));
        let mut stats = threads
            .flatten()
            .map(|thread| stat(thread).unwrap_or_default());
        stats.all(|stat| stat.contains(") T "))
    });
}

/// Whether a process runs: a zombie does not.
pub(crate) fn runs(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

/// The processes that a process has started, or was left with.
pub(crate) fn children(parent: u32) -> BTreeSet<u32> {
    let threads = fs::read_dir(format!("/proc/{parent}/task"));
    let lists = threads.into_iter().flatten().flatten().map(|thread| {
        let list = fs::read_to_string(thread.path().join("children"));
        list.unwrap_or_default()
    });
    lists
        .flat_map(|list| {
            let ids = list.split_whitespace().filter_map(|id| id.parse().ok());
            ids.collect::<Vec<_>>()
        })
        .collect()
}

pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// `vgpud run` with `examples/cuda-program.rs`, in a folder of its own.
pub(crate) struct Running {
    pub(crate) daemon: Child,
    said: Lines<BufReader<ChildStdout>>,
    folder: TempDir,
    log: File,
    /// The session's name, once the program has said it.
    name: Option<String>,
    /// The files of the shared memory, as far as they were seen.
    memory: BTreeSet<String>,
}

impl Running {
    pub(crate) fn start(words: &[&str]) -> Self {
        let program = example("cuda-program");
        Self::of(&[&[program.to_str().unwrap()], words].concat())
    }

    /// With another program.
    pub(crate) fn of(program: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = tempfile::tempfile().unwrap();
        let mut daemon = Command::new(env!("CARGO_BIN_EXE_vgpud"))
            .args(["run", "--"])
            .args(program)
            .current_dir(&folder)
            .env("TMPDIR", folder.path())
            .stdout(Stdio::piped())
            .stderr(log.try_clone().unwrap())
            .spawn()
            .unwrap();
        let said = BufReader::new(daemon.stdout.take().unwrap()).lines();
        Self {
            daemon,
            said,
            folder,
            log,
            name: None,
            memory: BTreeSet::new(),
        }
    }

    /// Bytes of the log of the daemon and its program.
    pub(crate) fn logged(&self) -> u64 {
        self.log.metadata().unwrap().len()
    }

    /// Waits until the program has said so, or has ended; gives what else it said.
    pub(crate) fn wait_for(&mut self, step: &str) -> String {
        while let Some(Ok(line)) = self.said.next() {
            let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
            if word == "started" {
                self.name = Some(rest.to_owned());
            }
            if word == step {
                return rest.to_owned();
            }
        }
        String::new()
    }

    /// The program and the workers, where there are any.
    pub(crate) fn processes(&self) -> (Option<u32>, Vec<u32>) {
        let (mut program, mut workers) = (None, Vec::new());
        for process in children(self.daemon.id()) {
            let name = fs::read_to_string(format!("/proc/{process}/comm"));
            match name.unwrap_or_default().trim() {
                "cuda-program" => program = Some(process),
                _ => workers.push(process),
            }
        }
        (program, workers)
    }

    /// Remembers which shared memory a process has; gives how many pieces.
    pub(crate) fn note_memory(&mut self, process: u32) -> usize {
        self.memory.extend(shared_memory(process));
        self.memory.len()
    }

    /// Waits until all has ended, and looks for what stays. This process gets
    /// what its children leave: see [`adopt_orphans`].
    pub(crate) fn nothing_stays(mut self) {
        eventually("vgpud stays", || self.daemon.try_wait().unwrap().is_some());
        eventually("a process stays", || {
            let left = children(std::process::id());
            for &process in &left {
                let process = Pid::from_raw(process.cast_signed());
                let _ = waitpid(process, WaitOptions::NOHANG);
            }
            left.is_empty()
        });
        if let Some(name) = &self.name {
            // A process is gone a little before its last thread is.
            eventually("a socket stays", || {
                let sockets = fs::read_to_string("/proc/net/unix").unwrap();
                !sockets.contains(name)
            });
        }
        let memory = all_processes().flat_map(shared_memory);
        let mut kept = memory.filter(|file| self.memory.contains(file));
        assert_eq!(kept.next(), None, "shared memory stays");
        let shared = fs::read_dir("/dev/shm").unwrap();
        let mut names = shared.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        assert_eq!(names.find(|name| name.contains("vgpu")), None);
        let mut files = fs::read_dir(self.folder.path()).unwrap();
        assert!(files.next().is_none(), "a file stays");
    }
}

/// The memory files of sessions that a process has mapped: device and number.
fn shared_memory(process: u32) -> Vec<String> {
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap_or_default();
    let ours = maps.lines().filter(|line| line.contains("/memfd:vgpu"));
    ours.map(|line| line.split_whitespace().skip(3).take(2).collect())
        .collect()
}

fn all_processes() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Makes this process the one that gets the orphans of its children.
pub(crate) fn adopt_orphans() {
    let own = rustix::process::getpid();
    rustix::process::set_child_subreaper(Some(own)).unwrap();
}
