//! `vgpud run`, killed at any time: its program, its worker, the daemon itself,
//! and all of them at once. No process, socket or shared memory stays.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use vgpu_ring::Slice;
use vgpu_ring::guest::{self, Answers, Commands};
use vgpu_ring::layout::SESSION;
use vgpu_transport::local::{Local, Name};
use vgpu_transport::{SpinFor, Transport};

/// Rounds of each kind.
fn rounds() -> usize {
    std::env::var("ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(3)
}

/// Not a test: the program that `vgpud run` starts. It keeps its worker busy.
#[test]
fn program() {
    if std::env::var_os("KILLED_PROGRAM").is_none() {
        return;
    }
    let name = Name::from_environment().unwrap().unwrap();
    let local = Local::open(name).unwrap();
    let region = local.add_region(1 << 20).unwrap();
    let slice = Slice::new(local.slice().clone(), &SESSION).unwrap();
    let (mut commands, answers) = (Commands::new(slice.clone()), Answers::new(slice));
    println!("\nprogram {} {name}", std::process::id());
    // The operation `synchronize`, over and over.
    let command = guest::Command {
        op: 2,
        flags: 0,
        aux: 0,
    };
    let mut lost = false;
    while !lost {
        let seq = commands.call(command, 0, &[], &[], &local).unwrap();
        let spin = SpinFor::new(Duration::ZERO);
        lost = answers.wait(&local, spin, || answers.poll(0, seq)).is_err();
    }
    assert!(local.remove_region(region.id).is_err());
    // Who has lost the device goes on.
    loop {
        thread::park();
    }
}

struct Running {
    daemon: Child,
    program: u32,
    worker: u32,
    name: String,
}

fn children(parent: u32) -> BTreeSet<u32> {
    let path = format!("/proc/{parent}/task/{parent}/children");
    let list = fs::read_to_string(path).unwrap_or_default();
    list.split_whitespace()
        .filter_map(|id| id.parse().ok())
        .collect()
}

fn start() -> Running {
    let mut daemon = Command::new(env!("CARGO_BIN_EXE_vgpud"))
        .args(["run", "--"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "program", "--nocapture", "--test-threads=1"])
        .env("KILLED_PROGRAM", "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(daemon.stdout.take().unwrap()).lines();
    let line = lines
        .map_while(Result::ok)
        .find(|line| line.starts_with("program "))
        .unwrap();
    let words: Vec<_> = line.split(' ').collect();
    let program = words[1].parse().unwrap();
    let mut workers = children(daemon.id());
    assert!(workers.remove(&program));
    let worker = workers.pop_first().expect("a worker");
    assert!(workers.is_empty());
    Running {
        daemon,
        program,
        worker,
        name: words[2].to_owned(),
    }
}

fn kill(process: u32) {
    let process = Pid::from_raw(process.cast_signed()).unwrap();
    let _ = kill_process(process, Signal::KILL);
}

fn eventually(what: &str, holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Whether a process runs: a zombie does not.
fn runs(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

impl Running {
    fn nothing_stays(mut self) {
        eventually("the worker stays", || !runs(self.worker));
        eventually("the program stays", || !runs(self.program));
        self.daemon.wait().unwrap();
        // A process is gone a little before its last thread is.
        eventually("a socket stays", || {
            let sockets = fs::read_to_string("/proc/net/unix").unwrap();
            !sockets.contains(&self.name)
        });
        // Shared memory is of processes alone: nothing in a file system.
        let shared = fs::read_dir("/dev/shm").unwrap();
        let mut names = shared.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        assert!(
            !names.any(|name| name.contains("vgpu")),
            "shared memory stays"
        );
    }
}

#[test]
fn a_killed_program_takes_all_with_it() {
    for _ in 0..rounds() {
        let running = start();
        kill(running.program);
        running.nothing_stays();
    }
}

#[test]
fn a_killed_worker_leaves_its_program() {
    for _ in 0..rounds() {
        let running = start();
        kill(running.worker);
        eventually("the worker stays", || !runs(running.worker));
        thread::sleep(Duration::from_millis(20));
        assert!(runs(running.program));
        kill(running.program);
        running.nothing_stays();
    }
}

#[test]
fn a_killed_daemon_takes_its_worker() {
    for _ in 0..rounds() {
        let running = start();
        kill(running.daemon.id());
        eventually("the worker stays", || !runs(running.worker));
        assert!(runs(running.program));
        kill(running.program);
        running.nothing_stays();
    }
}

#[test]
fn a_daemon_that_is_asked_to_end_takes_its_program() {
    for _ in 0..rounds() {
        let running = start();
        let daemon = Pid::from_raw(running.daemon.id().cast_signed()).unwrap();
        kill_process(daemon, Signal::TERM).unwrap();
        running.nothing_stays();
    }
}

#[test]
fn all_at_once() {
    for round in 0..rounds() {
        let running = start();
        let mut all = [running.daemon.id(), running.program, running.worker];
        all.rotate_left(round % 3);
        all.into_iter().for_each(kill);
        running.nothing_stays();
    }
}

#[test]
fn a_programs_status_is_the_daemons() {
    let run = |program: &[&str]| {
        let mut daemon = Command::new(env!("CARGO_BIN_EXE_vgpud"));
        daemon
            .args(["run", "--"])
            .args(program)
            .stderr(Stdio::piped());
        daemon.output().unwrap()
    };
    assert_eq!(run(&["true"]).status.code(), Some(0));
    assert_eq!(run(&["sh", "-c", "exit 7"]).status.code(), Some(7));
    assert_eq!(run(&["sh", "-c", "kill -9 $$"]).status.code(), Some(137));
    let missing = run(&["/nowhere"]);
    assert_eq!(missing.status.code(), Some(125));
    let text = String::from_utf8(missing.stderr).unwrap();
    assert!(text.contains("cannot start /nowhere"), "{text}");
}
