//! `vgpud serve`: a daemon that all programs of its user find. Each test is in a network of its own, as the daemon's name is
//! that of the user.

mod common;

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::os::unix::net::UnixDatagram;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::Duration;

use common::{children, eventually, kill, runs};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Set in the process that runs a test's body.
const APART: &str = "VGPUD_TEST_APART";

/// Runs a test again, in a network namespace of its own; gives whether this process is in it.
fn apart(test: &str) -> bool {
    if env::var_os(APART).is_some() {
        return true;
    }
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    command.arg("--net").arg(env::current_exe().unwrap());
    let command = command.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    let output = command.env(APART, "").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{errors}");
    assert!(said.contains("1 passed"), "{said}");
    false
}

/// `vgpud serve`, and what it tells its service manager.
struct Standing {
    daemon: Child,
    told: UnixDatagram,
    folder: TempDir,
}

fn vgpud(words: &[&str]) -> Command {
    let mut vgpud = Command::new(env!("CARGO_BIN_EXE_vgpud"));
    vgpud.args(words).env_remove("NOTIFY_SOCKET");
    vgpud
}

impl Standing {
    fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let place = folder.path().join("notify");
        let told = UnixDatagram::bind(&place).unwrap();
        told.set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let mut daemon = vgpud(&["serve", "--engine", "null"]);
        daemon.env("NOTIFY_SOCKET", &place).stderr(log);
        let standing = Self {
            daemon: daemon.spawn().unwrap(),
            told,
            folder,
        };
        assert_eq!(standing.hear(), "READY=1");
        standing
    }

    fn hear(&self) -> String {
        let mut said = [0; 64];
        let length = self.told.recv(&mut said).unwrap_or(0);
        String::from_utf8_lossy(&said[..length]).into_owned()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    fn workers(&self) -> Vec<u32> {
        children(self.daemon.id()).into_iter().collect()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.daemon), signal).unwrap();
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

/// A program that nothing is told of the daemon.
struct Program(Child, Lines<BufReader<ChildStdout>>);

fn program(word: &str) -> Command {
    let mut program = Command::new(common::example("cuda-program"));
    program.arg(word).env_remove("VGPU_LOCAL");
    program
}

impl Program {
    fn idle() -> Self {
        let mut program = program("idle").stdout(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(program.stdout.take().unwrap()).lines();
        let mut program = Self(program, said);
        let said = program.1.find_map(Result::ok);
        assert_eq!(said.as_deref(), Some("idle"));
        program
    }

    fn runs(&self) -> bool {
        runs(self.0.id())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Cause and mend of a call that could not begin.
fn refused(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert_eq!(said.lines().count(), 2, "{said}");
    assert!(
        said.starts_with("error: ") && said.contains("\nmend:  "),
        "{said}"
    );
    said
}

fn works() -> bool {
    program("steps")
        .stdout(Stdio::null())
        .status()
        .unwrap()
        .success()
}

#[test]
fn programs_find_it_and_its_end_leaves_nothing() {
    if !apart("programs_find_it_and_its_end_leaves_nothing") {
        return;
    }
    assert!(!works(), "there is no daemon");
    let mut standing = Standing::start();
    let programs = [Program::idle(), Program::idle()];
    let workers = standing.workers();
    assert_eq!(workers.len(), 2);
    assert!(works(), "beside the others");

    // A second one is told of the first.
    let second = vgpud(&["serve"]).output().unwrap();
    let first = format!(
        "vgpud of this user runs already: process {}\n",
        standing.daemon.id()
    );
    assert!(refused(&second).contains(&first), "{second:?}");
    // It came as a program comes, and went again: that is nothing to log.
    eventually("its worker stays", || standing.workers() == workers);

    standing.signal(Signal::TERM);
    assert_eq!(standing.hear(), "STOPPING=1");
    assert_eq!(
        standing.daemon.wait().unwrap().code(),
        Some(0),
        "{}",
        standing.log()
    );
    assert!(
        !workers.iter().any(|&worker| runs(worker)),
        "a worker stays"
    );
    assert!(programs.iter().all(Program::runs), "a program ended");
    assert!(!works(), "somebody listens");
    assert_eq!(standing.log(), "");
}

#[test]
fn killed_it_takes_its_workers_and_can_be_started_again() {
    if !apart("killed_it_takes_its_workers_and_can_be_started_again") {
        return;
    }
    let mut standing = Standing::start();
    let program = Program::idle();
    let workers = standing.workers();
    kill(standing.daemon.id());
    standing.daemon.wait().unwrap();
    let _again = Standing::start();
    assert!(works());
    eventually("a worker stays", || {
        !workers.iter().any(|&worker| runs(worker))
    });
    assert!(program.runs());
}

#[test]
fn the_help_has_examples_and_exit_codes() {
    for words in [&["--help"][..], &["serve", "--help"]] {
        let output = vgpud(words).output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success() && help.contains("\n  vgpud serve"),
            "{help}"
        );
        assert!(help.contains("\nExit code: "), "{help}");
    }
    let wrong = vgpud(&["serve", "--engine", "gpu"]).output().unwrap();
    assert!(refused(&wrong).contains("invalid value 'gpu'"), "{wrong:?}");
}
