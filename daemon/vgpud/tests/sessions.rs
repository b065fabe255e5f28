//! Programs, workers and the daemon, as real processes: what each gets when
//! another ends or misbehaves. The workers are `examples/echo-worker.rs`.

mod common;

use std::ffi::OsString;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};
use vgpu_ring::guest::{self, Answers, Commands};
use vgpu_ring::layout::{COMMAND_TAIL, SESSION};
use vgpu_ring::{Memory, Reply, Slice, Wake};
use vgpu_transport::local::{Local, Name};
use vgpu_transport::{Error, Lost, SpinFor, Transport};
use vgpud::Daemon;

const ECHO: u16 = 1;
const ABORT: u16 = 2;
const LOOP: u16 = 3;
const REGION: u16 = 4;
const DENIED: u16 = 5;
const PROCESS: u16 = 6;

/// A daemon on a thread of its own.
struct Running {
    name: Name,
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Running {
    fn new() -> Self {
        Self::with(&[])
    }

    /// With arguments for its workers.
    fn with(arguments: &[&str]) -> Self {
        let worker = common::example("echo-worker");
        let arguments = arguments.iter().map(OsString::from);
        Self::of([worker.into()].into_iter().chain(arguments).collect())
    }

    /// With another command for a worker.
    fn of(command: Vec<OsString>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (send, receive) = std::sync::mpsc::channel();
        let thread = thread::spawn({
            let stop = Arc::clone(&stop);
            move || {
                let mut daemon = Daemon::new(command).unwrap();
                send.send(daemon.name()).unwrap();
                while !stop.load(Ordering::Relaxed) {
                    daemon.turn();
                }
            }
        });
        let name = receive.recv().unwrap();
        Self {
            name,
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Any child's end ends the daemon's turn.
        while !self.thread.as_ref().unwrap().is_finished() {
            let _ = Command::new("true").status();
            thread::sleep(Duration::from_millis(10));
        }
        self.thread.take().unwrap().join().unwrap();
    }
}

struct Program {
    local: Arc<Local>,
    commands: Commands<vgpu_window::Window>,
    answers: Answers<vgpu_window::Window>,
}

impl Program {
    fn open(name: Name) -> Self {
        let local = Arc::new(Local::open(name).unwrap());
        let slice = Slice::new(local.slice().clone(), &SESSION).unwrap();
        Self {
            local,
            commands: Commands::new(slice.clone()),
            answers: Answers::new(slice),
        }
    }

    fn call(&mut self, op: u16, aux: u32, payload: &[u8]) -> Result<Reply, Lost> {
        let command = guest::Command { op, flags: 0, aux };
        let seq = self
            .commands
            .call(command, 3, &[], payload, &*self.local)
            .unwrap();
        let spin = SpinFor::new(Duration::from_micros(20));
        self.answers
            .wait(&*self.local, spin, || self.answers.poll(3, seq))
    }

    /// The process at the other end.
    fn worker(&mut self) -> u32 {
        let reply = self.call(PROCESS, 0, &[]).unwrap();
        u32::from_le_bytes(reply.inline().try_into().unwrap())
    }
}

fn gone(process: u32, within: Duration) -> bool {
    let start = Instant::now();
    while fs::metadata(format!("/proc/{process}")).is_ok() {
        if start.elapsed() > within {
            return false;
        }
        thread::sleep(Duration::from_millis(5));
    }
    true
}

fn kill(process: u32) {
    let process = Pid::from_raw(process.cast_signed()).unwrap();
    kill_process(process, Signal::KILL).unwrap();
}

#[test]
fn calls_are_answered_awake_and_parked() {
    let daemon = Running::new();
    let mut program = Program::open(daemon.name);
    for n in 0..200_u64 {
        let reply = program.call(ECHO, 0, &n.to_le_bytes()).unwrap();
        assert_eq!(
            (reply.status, &reply.inline()[..8]),
            (7, &n.to_le_bytes()[..])
        );
        if n % 50 == 0 {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn many_threads_that_wait_are_all_woken() {
    let daemon = Running::new();
    let program = Program::open(daemon.name);
    let (local, answers) = (&program.local, &program.answers);
    let commands = std::sync::Mutex::new(program.commands);
    thread::scope(|scope| {
        for slot in 0..8 {
            let commands = &commands;
            scope.spawn(move || {
                for n in 0..300_u64 {
                    let command = guest::Command {
                        op: ECHO,
                        flags: 0,
                        aux: 0,
                    };
                    let sent = commands.lock().unwrap().call(
                        command,
                        slot,
                        &[],
                        &n.to_le_bytes(),
                        &**local,
                    );
                    let seq = sent.unwrap();
                    // No spinning: each wait parks.
                    let spin = SpinFor::new(Duration::ZERO);
                    let reply = answers
                        .wait(&**local, spin, || answers.poll(slot, seq))
                        .unwrap();
                    assert_eq!(reply.inline()[..8], n.to_le_bytes());
                }
            });
        }
    });
}

#[test]
fn a_dead_worker_is_an_error_for_its_program_alone() {
    let daemon = Running::new();
    let mut other = Program::open(daemon.name);
    let mut program = Program::open(daemon.name);
    assert_eq!(program.call(ABORT, 0, &[]), Err(Lost));
    assert_eq!(program.call(ECHO, 0, &[]), Err(Lost));
    assert!(matches!(
        program.local.add_region(4096),
        Err(Error::Lost(_))
    ));
    assert_eq!(other.call(ECHO, 0, &[]).unwrap().status, 7);
}

#[test]
fn a_killed_worker_wakes_who_is_parked() {
    let daemon = Running::new();
    let mut program = Program::open(daemon.name);
    assert_eq!(program.call(ECHO, 0, &[]).unwrap().status, 7);
    let worker = program.worker();
    let killer = thread::spawn(move || {
        thread::sleep(Duration::from_millis(100));
        kill(worker);
    });
    assert_eq!(program.call(LOOP, 0, &[]), Err(Lost));
    killer.join().unwrap();
}

#[test]
fn a_worker_ends_with_its_program_even_in_an_endless_command() {
    let daemon = Running::new();
    let mut program = Program::open(daemon.name);
    assert_eq!(program.call(ECHO, 0, &[]).unwrap().status, 7);
    let worker = program.worker();
    let command = guest::Command {
        op: LOOP,
        flags: 0,
        aux: 0,
    };
    program
        .commands
        .send(command, &[], &[], &*program.local)
        .unwrap();
    drop(program);
    assert!(gone(worker, Duration::from_secs(5)));
}

#[test]
fn a_stopped_worker_is_killed_after_its_program() {
    let daemon = Running::new();
    let mut program = Program::open(daemon.name);
    assert_eq!(program.call(ECHO, 0, &[]).unwrap().status, 7);
    let worker = program.worker();
    common::stop(worker);
    let start = Instant::now();
    drop(program);
    assert!(gone(worker, Duration::from_secs(10)));
    assert!(start.elapsed() >= Duration::from_secs(1));
}

#[test]
fn a_broken_protocol_is_a_fault_and_the_end() {
    let daemon = Running::new();
    let mut program = Program::open(daemon.name);
    assert_eq!(program.call(ECHO, 0, &[]).unwrap().status, 7);
    let tail = &program.local.slice().words()[COMMAND_TAIL / 8];
    tail.store(u64::MAX, Ordering::Release);
    program.local.wake();
    let spin = SpinFor::new(Duration::ZERO);
    let waited = program.answers.wait(&*program.local, spin, || None::<()>);
    assert_eq!(
        (waited, program.answers.fault()),
        (Err(Lost), Some((999, 1)))
    );

    let mut unknown = Program::open(daemon.name);
    assert_eq!(unknown.call(99, 0, &[]), Err(Lost));
    assert_eq!(unknown.answers.fault(), Some((999, 1)));
    assert_eq!(
        Program::open(daemon.name)
            .call(ECHO, 0, &[])
            .unwrap()
            .status,
        7
    );
}

#[test]
fn regions_are_shared_up_to_the_limit() {
    let daemon = Running::new();
    let mut program = Program::open(daemon.name);
    let region = program.local.add_region(8192).unwrap();
    assert!(region.memory.write(4088, b"12345678"));
    let reply = program.call(REGION, region.id, &[]).unwrap();
    assert_eq!((reply.status, reply.inline()), (0, &b"12345678"[..]));
    for refused in [0, 100, 2 << 20, usize::MAX] {
        assert!(
            matches!(program.local.add_region(refused), Err(Error::Refused(_))),
            "{refused}"
        );
    }
    assert!(matches!(
        program.local.remove_region(9),
        Err(Error::Refused(_))
    ));
    program.local.remove_region(region.id).unwrap();
    assert_eq!(program.call(REGION, region.id, &[]).unwrap().status, 1);
    // What was removed may be had again.
    for _ in 0..50 {
        let region = program.local.add_region(1 << 20).unwrap();
        program.local.remove_region(region.id).unwrap();
    }
}

#[test]
fn a_worker_is_sandboxed() {
    let daemon = Running::new();
    let mut program = Program::open(daemon.name);
    assert_eq!(program.call(ECHO, 0, &[]).unwrap().status, 7);
    let process = program.worker();
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    for line in ["NoNewPrivs:\t1", "Seccomp:\t2"] {
        assert!(status.contains(line), "{status}");
    }
    // It cannot make a socket: it ends where it tries.
    assert_eq!(program.call(DENIED, 0, &[]), Err(Lost));
}

#[test]
fn nobody_is_served_outside_of_the_sandbox() {
    let daemon = Running::with(&["second-thread"]);
    assert!(matches!(Local::open(daemon.name), Err(Error::Lost(_))));
}

#[test]
fn nobody_listens_after_the_daemon() {
    let name = Running::new().name;
    assert!(matches!(Local::open(name), Err(Error::NoDaemon { .. })));
    let sockets = fs::read_to_string("/proc/net/unix").unwrap();
    assert!(!sockets.contains(&name.to_string()));
}

/// Not a test: a daemon in a process of its own, and one program of it.
#[test]
fn daemon_process() {
    let Some(script) = std::env::var_os("DAEMON_PROCESS") else {
        return;
    };
    let daemon = match script.is_empty() {
        true => Running::new(),
        false => Running::of(vec!["sh".into(), "-c".into(), script]),
    };
    println!("\n{}", daemon.name);
    loop {
        thread::park();
    }
}

/// A daemon in a process of its own, with its log, and its name.
fn daemon_with_log(log: impl Into<Stdio>) -> (Child, Name) {
    daemon_with_script(log, "")
}

/// The same, whose workers are a script of a shell, where it is not empty.
fn daemon_with_script(log: impl Into<Stdio>, script: &str) -> (Child, Name) {
    let mut daemon = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "daemon_process", "--nocapture"])
        .env("DAEMON_PROCESS", script)
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .unwrap();
    let lines = std::io::BufRead::lines(std::io::BufReader::new(daemon.stdout.take().unwrap()));
    let name = lines
        .map_while(Result::ok)
        .find_map(|line| line.parse::<Name>().ok())
        .unwrap();
    (daemon, name)
}

/// The processor time that a process has had.
fn processor_time(process: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let times = threads.map(|thread| {
        let text = fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap();
        text.split(' ').next().unwrap().parse::<u64>().unwrap()
    });
    Duration::from_nanos(times.sum())
}

#[test]
fn without_descriptors_programs_wait_and_the_daemon_rests() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let (mut daemon, name) = daemon_with_log(log.reopen().unwrap());
    let id = daemon.id();
    let process = Pid::from_raw(id.cast_signed());
    let before = getrlimit(Resource::Nofile);
    let none = Rlimit {
        current: Some(3),
        ..before
    };
    prlimit(process, Resource::Nofile, none).unwrap();
    let program = thread::spawn(move || Program::open(name).call(ECHO, 0, &[]).unwrap().status);
    let said = || fs::read_to_string(log.path()).unwrap();
    common::eventually("it says why", || said().contains("cannot accept a program"));
    let (start, spent) = (Instant::now(), processor_time(id));
    thread::sleep(Duration::from_millis(500));
    let (spent, passed) = (processor_time(id) - spent, start.elapsed());
    assert!(spent < passed / 20, "{spent:?} of {passed:?}");
    assert_eq!(said().lines().count(), 1, "{}", said());
    // It is served when there are some again.
    prlimit(process, Resource::Nofile, before).unwrap();
    assert_eq!(program.join().unwrap(), 7);
    daemon.kill().unwrap();
    daemon.wait().unwrap();
}

#[test]
fn what_a_worker_says_is_logged_by_lines_up_to_its_end() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let script = "printf '%03000d\\nha' 0 >&2; sleep 0.2; printf 'lf\\nend' >&2; exit 3";
    let (mut daemon, name) = daemon_with_script(log.reopen().unwrap(), script);
    assert!(Local::open(name).is_err());
    let said = || fs::read_to_string(log.path()).unwrap();
    common::eventually("its end", || said().contains("exit status: 3"));
    let text = said();
    let lines = text.lines().map(|line| line.rsplit(": ").next().unwrap());
    let lines: Vec<_> = lines.collect();
    assert_eq!(lines, ["0".repeat(3000).as_str(), "half", "end", "3"]);
    daemon.kill().unwrap();
    daemon.wait().unwrap();
}

#[test]
fn workers_end_with_a_killed_daemon() {
    let (mut daemon, name) = daemon_with_log(Stdio::inherit());
    let mut program = Program::open(name);
    assert_eq!(program.call(ECHO, 0, &[]).unwrap().status, 7);
    let worker = program.worker();
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    assert_eq!(program.call(LOOP, 0, &[]), Err(Lost));
    assert!(gone(worker, Duration::from_secs(5)));
}
