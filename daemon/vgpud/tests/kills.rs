//! `vgpud run`, killed at any moment: its program, its worker, the daemon itself,
//! and all of them at once. No process, socket, shared memory or file stays.

mod common;

use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use common::{Running, adopt_orphans, eventually, kill};
use rustix::process::{
    Pid, PidfdFlags, PidfdGetfdFlags, Signal, kill_process, pidfd_getfd, pidfd_open,
};
use vgpu_bed::soak;

/// The tests here look for what this process's children leave.
static ALONE: Mutex<()> = Mutex::new(());

/// What the program says on its way: before it opens its session, before it
/// greets, before its first launch, during launches, before its end.
const STEPS: [&str; 5] = ["started", "open", "loaded", "launching", "ending"];

/// A session at some moment of its life.
fn at_some_moment() -> Running {
    let mut running = Running::start(&["steps"]);
    // Or before the program says anything.
    if let Some(step) = STEPS.get(fastrand::usize(0..=STEPS.len())) {
        running.wait_for(step);
    }
    thread::sleep(Duration::from_micros(fastrand::u64(0..4000)));
    if let (Some(program), _) = running.processes() {
        running.note_memory(program);
    }
    running
}

/// Kills what `whom` chooses of a daemon, its program and its workers.
fn rounds(count: u32, whom: impl Fn(&Running) -> Vec<u32>) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    adopt_orphans();
    let mut killed = 0;
    for _ in 0..count {
        let seed = fastrand::u64(..);
        fastrand::seed(seed);
        println!("seed {seed}");
        let running = at_some_moment();
        let victims = whom(&running);
        killed += victims.len();
        victims.into_iter().for_each(kill);
        running.nothing_stays();
    }
    println!("{killed} processes were killed in {count} rounds");
}

#[test]
fn a_killed_program_takes_all_with_it() {
    rounds(2 * soak::times(), |running| {
        running.processes().0.into_iter().collect()
    });
}

#[test]
fn a_killed_worker_leaves_nothing() {
    rounds(2 * soak::times(), |running| running.processes().1);
}

#[test]
fn a_killed_daemon_takes_its_worker() {
    rounds(2 * soak::times(), |running| vec![running.daemon.id()]);
}

#[test]
fn all_at_once() {
    rounds(soak::times(), |running| {
        let (program, mut all) = running.processes();
        all.extend(program);
        all.push(running.daemon.id());
        fastrand::shuffle(&mut all);
        all
    });
}

/// A program that has lost its worker, or the daemon, goes on.
#[test]
fn a_program_outlives_its_worker_and_its_daemon() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    adopt_orphans();
    for of_the_daemon in [false, true] {
        let mut running = Running::start(&["idle"]);
        running.wait_for("idle");
        let (program, workers) = running.processes();
        let (program, worker) = (program.unwrap(), workers[0]);
        assert_eq!(running.note_memory(program), 1);
        kill(if of_the_daemon {
            running.daemon.id()
        } else {
            worker
        });
        eventually("the worker stays", || !common::runs(worker));
        thread::sleep(Duration::from_millis(20));
        assert!(common::runs(program));
        kill(program);
        running.nothing_stays();
    }
}

/// A child of the program's fork has its socket, and lives on.
#[test]
fn a_killed_programs_worker_ends_also_where_another_has_its_socket() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    adopt_orphans();
    let program = common::example("cuda-program");
    // The daemon stays, as what it runs does.
    let script = "\"$0\" idle; exec sleep 100";
    let mut running = Running::of(&["sh", "-c", script, program.to_str().unwrap()]);
    running.wait_for("idle");
    let (mut shell, mut worker) = (0, 0);
    for process in common::children(running.daemon.id()) {
        *(match common::children(process).is_empty() {
            true => &mut worker,
            false => &mut shell,
        }) = process;
    }
    let program = *common::children(shell).first().unwrap();
    let sockets = sockets_of(program);
    assert!(!sockets.is_empty());
    kill(program);
    eventually("the worker stays", || !common::runs(worker));
    drop(sockets);
    kill(shell);
    running.nothing_stays();
}

/// Copies of a process's sockets.
fn sockets_of(process: u32) -> Vec<OwnedFd> {
    let pid = Pid::from_raw(process.cast_signed()).unwrap();
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).unwrap();
    let files = std::fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    let sockets = files.filter_map(|file| {
        let file = file.unwrap();
        let target = std::fs::read_link(file.path()).ok()?;
        let is_socket = target.to_str()?.starts_with("socket:");
        let number = file.file_name().to_str()?.parse().ok()?;
        is_socket.then(|| pidfd_getfd(&pidfd, number, PidfdGetfdFlags::empty()).unwrap())
    });
    sockets.collect()
}

#[test]
fn a_daemon_that_is_asked_to_end_takes_its_program() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    adopt_orphans();
    for _ in 0..2 {
        let mut running = Running::start(&["idle"]);
        running.wait_for("idle");
        let daemon = Pid::from_raw(running.daemon.id().cast_signed()).unwrap();
        kill_process(daemon, Signal::TERM).unwrap();
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
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    assert_eq!(run(&["true"]).status.code(), Some(0));
    assert_eq!(run(&["sh", "-c", "exit 7"]).status.code(), Some(7));
    assert_eq!(run(&["sh", "-c", "kill -9 $$"]).status.code(), Some(137));
    let missing = run(&["/nowhere"]);
    assert_eq!(missing.status.code(), Some(125));
    let text = String::from_utf8(missing.stderr).unwrap();
    assert!(text.contains("cannot start /nowhere"), "{text}");
}
