//! The guard, which ends a VM's connection where the server is killed.

use std::fs;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, PidfdFlags, Signal, getpgid, kill_process, kill_process_group, pidfd_open,
};
use vgpu_emulator::Call;

use crate::bed::{Bed, CONFIG, LIMIT, Serving, connect, read};
use crate::raw::Raw;

/// A server's guard, as a process.
struct Guard {
    pid: Pid,
    pidfd: OwnedFd,
}

impl Guard {
    /// The one process that a server has started, once it is the guard.
    fn of(server: &Serving) -> Self {
        let pid = server.pid();
        let path = format!("/proc/{pid}/task/{pid}/children");
        let children = || fs::read_to_string(&path).unwrap();
        wait_until(|| !children().is_empty());
        let pid = Pid::from_raw(children().trim().parse().unwrap()).unwrap();
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).unwrap();
        let guard = Self { pid, pidfd };
        // Until it runs the program anew, it has the server's handlers too.
        let signals = [Signal::TERM, Signal::INT, Signal::HUP];
        wait_until(|| guard.file("comm") == "vgpu-guard\n" && guard.catches(&signals));
        guard
    }

    fn ends_within(&self, limit: Duration) -> bool {
        let limit = Timespec::try_from(limit).unwrap();
        let ended = poll(&mut [PollFd::new(&self.pidfd, PollFlags::IN)], Some(&limit));
        ended.unwrap() > 0
    }

    fn file(&self, name: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{name}", self.pid)).unwrap()
    }

    fn catches(&self, signals: &[Signal]) -> bool {
        let status = self.file("status");
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = u64::from_str_radix(caught.unwrap().trim(), 16).unwrap();
        signals
            .iter()
            .all(|signal| caught & 1 << (signal.as_raw() - 1) != 0)
    }

    fn descriptors(&self) -> usize {
        let path = format!("/proc/{}/fd", self.pid);
        fs::read_dir(path).unwrap().count()
    }
}

fn wait_until(done: impl Fn() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !done() {
        assert!(Instant::now() < deadline);
        thread::yield_now();
    }
}

/// A client that has the device, once the last one has left.
fn begun(bed: &Bed) -> Raw {
    let deadline = Instant::now() + LIMIT;
    loop {
        let mut client = Raw::connect(&bed.socket());
        if matches!(client.begin(), Ok(0)) {
            return client;
        }
        assert!(Instant::now() < deadline);
    }
}

/// The server dies with as many messages unread as there can be. Its log.
fn die(mut server: Serving, client: &mut Raw) -> String {
    server.pause();
    client.flood();
    kill_process(server.pid(), Signal::KILL).unwrap();
    let (code, log) = server.ended();
    assert_eq!(code, None);
    log
}

#[test]
fn a_killed_server_s_client_sees_an_end_in_order() {
    let bed = Bed::new();
    let server = bed.serve(&[]);
    // Not the first one that the guard gets.
    for _ in 0..3 {
        drop(connect(&bed.socket()));
    }
    let mut client = begun(&bed);
    die(server, &mut client);
    assert_eq!(client.ends(), 0);
}

#[test]
fn it_ends_with_the_server() {
    for signal in [Signal::TERM, Signal::KILL, Signal::ABORT] {
        for connected in [false, true] {
            let bed = Bed::new();
            let server = bed.serve(&[]);
            let guard = Guard::of(&server);
            let client = connected.then(|| begun(&bed));
            server.end(signal);
            assert!(guard.ends_within(LIMIT), "{signal:?}, {connected}");
            drop(client);
        }
    }
}

#[test]
fn it_outlives_signals_that_end_the_server() {
    let bed = Bed::new();
    let server = bed.serve(&[]);
    let guard = Guard::of(&server);
    let mut client = begun(&bed);
    assert_ne!(getpgid(Some(guard.pid)), getpgid(Some(server.pid())));
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        kill_process_group(guard.pid, signal).unwrap();
    }
    assert!(!guard.ends_within(Duration::from_millis(100)));
    die(server, &mut client);
    assert_eq!(client.ends(), 0);
    assert!(guard.ends_within(LIMIT));
}

#[test]
fn the_server_goes_on_without_it() {
    let bed = Bed::new();
    let server = bed.serve(&[]);
    let mut client = connect(&bed.socket());
    let guard = Guard::of(&server);
    kill_process(guard.pid, Signal::KILL).unwrap();
    assert!(guard.ends_within(LIMIT));
    assert_eq!(read(&mut client, CONFIG, 0), 0x1111_1af4);
    // So is the next VM, and the log says what is lacking.
    drop(client);
    drop(begun(&bed));
    let (code, log) = server.end(Signal::TERM);
    assert_eq!(code, Some(0));
    let said = "vgpu-stub: the guard has ended: QEMU may end too where this server is killed";
    assert_eq!(log.matches(said).count(), 1, "{log}");
    // Its socket stays behind, and is no obstacle.
    assert_eq!(bed.files(), 1);
    drop(bed.serve(&[]));
}

/// It removes the sockets of a server that cannot.
#[test]
fn a_killed_server_leaves_no_socket() {
    let bed = Bed::new();
    let control = bed.control();
    let server = bed.serve(&["--control", control.to_str().unwrap()]);
    assert_eq!(bed.files(), 2);
    server.end(Signal::KILL);
    wait_until(|| bed.files() == 0);
}

/// A socket that another server has taken meanwhile is left to that one.
#[test]
fn the_next_server_s_socket_is_its_own() {
    let bed = Bed::new();
    let server = bed.serve(&[]);
    let guard = Guard::of(&server);
    kill_process(guard.pid, Signal::STOP).unwrap();
    server.end(Signal::KILL);
    let next = bed.serve(&[]);
    kill_process(guard.pid, Signal::CONT).unwrap();
    assert!(guard.ends_within(LIMIT));
    drop(connect(&bed.socket()));
    assert_eq!(next.end(Signal::TERM).0, Some(0));
    assert_eq!(bed.files(), 0);
}

/// It lets go of the VMs that have left.
#[test]
fn it_gathers_nothing() {
    let bed = Bed::new();
    let server = bed.serve(&[]);
    let guard = Guard::of(&server);
    let none = guard.descriptors();
    for _ in 0..100 {
        drop(begun(&bed));
    }
    wait_until(|| guard.descriptors() <= none);
}

#[test]
fn ps_shows_what_it_is() {
    let bed = Bed::new();
    let server = bed.serve(&[]);
    let guard = Guard::of(&server);
    let socket = bed.socket();
    let line = format!(
        "vgpu-stub\0vfio-user-guard\0--link=\0{}\0--call=2\0",
        socket.display()
    );
    assert_eq!(guard.file("cmdline"), line);
    assert_eq!(guard.file("comm"), "vgpu-guard\n");
}

#[test]
fn nobody_else_starts_it() {
    let output = Command::new(env!("CARGO_BIN_EXE_vgpu-emulator"))
        .args(["vfio-user-guard", "--link="])
        .arg(Call::version_word())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("leave it to 'vgpu-stub vfio-user', which starts it"),
        "{said}"
    );
}
