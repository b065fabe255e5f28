//! What two machines get of an engine whose kernels take as long as they are said to, with real workers.

use std::cell::RefCell;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use vgpu_cuda_wire::{Caller, Client};
use vgpu_ring::layout::{ARENA_PIECE, SLICE_SIZE};

use crate::emulator::{Daemon, Emulator, Guest};
use crate::errno;

pub(crate) const ONE: [u8; 16] = *b"the one machine.";
pub(crate) const OTHER: [u8; 16] = *b"another machine.";
const MODULE: u64 = 0x100;

/// A kernel that ends, and one that does not.
const PTX: &str = "
.version 7.0
.target sm_70
.address_size 64
.visible .entry ends() { ret; }
.visible .entry hangs() {
LOOP:
    bra LOOP;
}";

pub(crate) fn uuid(machine: [u8; 16]) -> String {
    let hex: Vec<_> = machine.iter().map(|byte| format!("{byte:02x}")).collect();
    let hex = hex.concat();
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

pub(crate) fn write(folder: &Path, text: &str) {
    // Daemons of other tests have the same machines.
    let users = match text.contains("[workers]") {
        true => String::new(),
        false => format!("[workers]\nusers-folder = \"{}/users\"\n", folder.display()),
    };
    let text = format!("{text}\n{users}");
    let path = folder.join("link.toml");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Both machines, with what else is said of them.
pub(crate) fn machines(engine: &str, one: &str, other: &str) -> String {
    let uid = rustix::process::geteuid().as_raw();
    let machine = |machine, rest: &str| {
        format!(
            "[[machine]]\nuuid = \"{}\"\nuid = {uid}\n{rest}\n",
            uuid(machine)
        )
    };
    let engine = format!("[[engine]]\nname = \"cpu\"\nkind = \"cpu\"\n{engine}\n");
    [engine, machine(ONE, one), machine(OTHER, other)].concat()
}

pub(crate) fn daemon(text: &str) -> Daemon {
    Daemon::with(|command, folder| {
        write(folder, text);
        for (option, name) in [
            ("--config", "link.toml"),
            ("--control", "control"),
            ("--audit", "audit"),
        ] {
            command.arg(option).arg(folder.join(name));
        }
    })
}

pub(crate) fn folder(daemon: &Daemon) -> std::path::PathBuf {
    daemon.path().parent().unwrap().to_owned()
}

pub(crate) fn ask(daemon: &Daemon, request: &str) -> Value {
    ask_at(&folder(daemon).join("control"), request)
}

pub(crate) fn ask_at(control: &Path, request: &str) -> Value {
    let mut stream = UnixStream::connect(control).unwrap();
    writeln!(stream, "{request}").unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

pub(crate) fn status_of(daemon: &Daemon, machine: [u8; 16]) -> Value {
    let status = ask(daemon, r#"{"do": "status"}"#);
    let machines = status["status"]["machines"].as_array().unwrap().clone();
    let found = machines
        .into_iter()
        .find(|it| it["machine"] == uuid(machine).as_str());
    found.unwrap_or_else(|| panic!("{status}"))
}

fn engine_ms(daemon: &Daemon, machine: [u8; 16]) -> f64 {
    status_of(daemon, machine)["work"]["engine_ns"]
        .as_u64()
        .unwrap() as f64
        / 1e6
}

/// A guest's program.
pub(crate) struct Program(RefCell<Guest>);

#[derive(Debug)]
pub(crate) struct Refused;

impl Caller for &Program {
    type Error = Refused;

    fn send<const N: usize>(
        &self,
        op: u16,
        message: &[u64; N],
        data: &[u8],
    ) -> Result<(), Refused> {
        self.0
            .borrow_mut()
            .sends(op, message, data)
            .then_some(())
            .ok_or(Refused)
    }

    fn call<const N: usize, const M: usize>(
        &self,
        op: u16,
        message: &[u64; N],
        data: &[u8],
    ) -> Result<[u64; M], Refused> {
        let reply = self.0.borrow_mut().asks(op, message, data).ok_or(Refused)?;
        (reply.status == 0)
            .then(|| *reply.words.first_chunk().expect("no answer is longer"))
            .ok_or(Refused)
    }
}

impl Program {
    pub(crate) fn begin(guest: Guest) -> Self {
        Self::with(guest, PTX)
    }

    /// With a module of one's own.
    pub(crate) fn with(guest: Guest, ptx: &str) -> Self {
        let program = Self(RefCell::new(guest));
        let client = Client(&program);
        client
            .hello(0, ARENA_PIECE as u64, 1 << 40, 1 << 36)
            .unwrap();
        assert!(program.0.borrow().writes(ARENA_PIECE, ptx.as_bytes()));
        client
            .module_load(MODULE, 0, ARENA_PIECE as u64, ptx.len() as u64)
            .unwrap();
        program
    }

    fn launch(&self, function: u32) -> Result<(), Refused> {
        self.launch_with(function, &[])
    }

    pub(crate) fn launch_with(&self, function: u32, parameters: &[u8]) -> Result<(), Refused> {
        Client(self).launch(MODULE, function, 1, 1, 1, 32, 1, 1, 0, 0, parameters)
    }

    /// Has as many kernels wait as the ring has room for.
    fn flood(&self, until: Instant) {
        while Instant::now() < until {
            while self.launch(0).is_ok() {}
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// What each machine got of the engine while both flooded it, in milliseconds.
fn shares(daemon: &Daemon, programs: [Program; 2], time: Duration) -> ([f64; 2], [Program; 2]) {
    let until = Instant::now() + time + Duration::from_millis(100);
    let flooding = programs.map(|program| {
        thread::spawn(move || {
            program.flood(until);
            program
        })
    });
    // Until both are at it.
    thread::sleep(Duration::from_millis(50));
    let before = [ONE, OTHER].map(|machine| engine_ms(daemon, machine));
    thread::sleep(time);
    let after = [ONE, OTHER].map(|machine| engine_ms(daemon, machine));
    let got = [0, 1].map(|n| after[n] - before[n]);
    (got, flooding.map(|program| program.join().unwrap()))
}

/// The same, once it is within a tenth of what the weights say. A host that is busy otherwise may keep a worker from its lease:
/// then it is looked again.
fn even(
    daemon: &Daemon,
    mut programs: [Program; 2],
    weights: [f64; 2],
) -> ([f64; 2], [Program; 2]) {
    let mut all = Vec::new();
    for _ in 0..5 {
        let (got, back) = shares(daemon, programs, Duration::from_millis(800));
        let ratio = got[1] / got[0] * weights[0] / weights[1];
        if (0.9..1.1).contains(&ratio) {
            return (got, back);
        }
        all.push(got);
        programs = back;
    }
    panic!("{weights:?}: {all:?}");
}

#[test]
fn two_machines_get_what_their_weights_say_and_what_they_are_changed_to() {
    let engine = "kernel-us = 400";
    let daemon = daemon(&machines(engine, "weight = 100", "weight = 300"));
    let mut emulators = [ONE, OTHER].map(|machine| Emulator::of(&daemon, machine).unwrap());
    let programs = emulators.each_mut().map(|it| Program::begin(it.open(0)));
    let (got, programs) = even(&daemon, programs, [1.0, 3.0]);
    // One at a time, and hardly a moment without.
    let all = got[0] + got[1];
    assert!((300.0..850.0).contains(&all), "{got:?}");

    write(
        &folder(&daemon),
        &machines(engine, "weight = 300", "weight = 100"),
    );
    kill_process(Pid::from_child(&daemon.child), Signal::HUP).unwrap();
    let weight = || status_of(&daemon, ONE)["weight"] == 300;
    crate::within_a_second("not reloaded", weight);
    let (_, _programs) = even(&daemon, programs, [3.0, 1.0]);
    assert_eq!(emulators.each_ref().map(|it| it.lost.len()), [0, 0]);
}

#[test]
fn a_machine_sees_its_quota_of_device_memory() {
    let daemon = daemon(&machines("", "device-memory-mib = 64", ""));
    let mut emulator = Emulator::of(&daemon, ONE).unwrap();
    let programs = [1, 2].map(|channel| Program::begin(emulator.open(channel)));
    let [one, two] = programs.each_ref().map(Client);
    let mib = |bytes: u64| bytes >> 20;
    let info = |client: &Client<&Program>| {
        client
            .memory_info()
            .map(|(free, total)| (mib(free), mib(total)))
            .unwrap()
    };
    assert_eq!(info(&one), (64, 64));
    let pointer = one.memory_allocate(40 << 20).unwrap();
    assert_eq!(info(&two), (24, 64), "the sessions share it");
    assert!(two.memory_allocate(25 << 20).is_err());
    assert!(two.memory_allocate(24 << 20).is_ok());
    one.memory_free(pointer).unwrap();
    assert_eq!(info(&one), (40, 64));
    let status = status_of(&daemon, ONE);
    assert_eq!(
        (&status["memory_used"], &status["memory_quota"]),
        (&(24_u64 << 20).into(), &(64_u64 << 20).into())
    );
    // What a session had is free when it is over.
    assert_eq!(emulator.close(2), 0);
    assert_eq!(info(&one), (64, 64));
    let mut other = Emulator::of(&daemon, OTHER).unwrap();
    let program = Program::begin(other.open(0));
    assert_eq!(
        info(&Client(&program)),
        (4096, 4096),
        "the other machine has all of its device"
    );
}

#[test]
fn a_hung_kernel_costs_its_own_machine_alone() {
    let engine = "watchdog-ms = 150\npatience-ms = 20\nstrikes = 2";
    let daemon = daemon(&machines(engine, "", ""));
    let [mut sick, mut well] = [ONE, OTHER].map(|machine| Emulator::of(&daemon, machine).unwrap());
    let program = Program::begin(well.open(0));
    for hung in 1..=2 {
        let hangs = Program::begin(sick.open(hung));
        hangs.launch(1).unwrap();
        // The other goes on beside it: it waits for no more than the window and the patience.
        thread::sleep(Duration::from_millis(20));
        for _ in 0..20 {
            let start = Instant::now();
            program.launch(0).unwrap();
            Client(&program).synchronize().unwrap();
            assert!(
                start.elapsed() < Duration::from_millis(120),
                "{:?}",
                start.elapsed()
            );
        }
        crate::within_a_second("not ended", || {
            sick.hear(Duration::from_millis(10));
            sick.lost.contains(&hung)
        });
    }
    crate::within_a_second("not quarantined", || {
        status_of(&daemon, ONE)["quarantined"] == true
    });
    assert_eq!(status_of(&daemon, ONE)["resets"], 2);
    assert_eq!(sick.try_open(3).0, errno(Errno::PERM));
    assert!(
        daemon
            .log()
            .contains("a kernel ran for more than 150 ms; its machine is quarantined"),
        "{}",
        daemon.log()
    );
    program.launch(0).unwrap();
    Client(&program).synchronize().unwrap();
    assert_eq!(
        (status_of(&daemon, OTHER)["resets"].clone(), well.lost.len()),
        (0.into(), 0)
    );

    // The operator ends it.
    let request = format!(
        r#"{{"do": "quarantine", "machine": "{}", "on": false}}"#,
        uuid(ONE)
    );
    assert_eq!(ask(&daemon, &request), "done");
    let again = Program::begin(sick.open(4));
    again.launch(0).unwrap();
    Client(&again).synchronize().unwrap();
    // And begins it anew: what there is of sessions ends.
    assert_eq!(ask(&daemon, &request.replace("false", "true")), "done");
    crate::within_a_second("not ended", || {
        sick.hear(Duration::from_millis(10));
        sick.lost.contains(&4)
    });
}

/// A program computes without a daemon and with the next one, which knows what it has, and whose leases it takes.
#[test]
fn an_adopted_session_shares_as_others_do() {
    let engine = "watchdog-ms = 1000\npatience-ms = 100\nstrikes = 9";
    let mut daemon = daemon(&machines(engine, "device-memory-mib = 64", ""));
    let mut emulator = Emulator::of(&daemon, ONE).unwrap();
    let programs = [1, 2].map(|channel| Program::begin(emulator.open(channel)));
    let [one, two] = programs.each_ref().map(Client);
    let pointer = one.memory_allocate(40 << 20).unwrap();
    // The one works as the daemon dies, the other does not.
    programs[0].launch(0).unwrap();
    daemon.kill();
    for _ in 0..10 {
        for program in &programs {
            program.launch(0).unwrap();
            Client(program).synchronize().unwrap();
        }
    }
    assert!(two.memory_allocate(25 << 20).is_err(), "the quota holds");
    daemon.start_again();
    emulator.attach_again(&daemon);
    for channel in [1, 2] {
        assert_eq!(emulator.adopt(channel), 0, "{}", daemon.log());
    }
    let used = |daemon: &Daemon| status_of(daemon, ONE)["memory_used"].as_u64();
    assert_eq!(used(&daemon), Some(40 << 20));
    let engine = status_of(&daemon, ONE)["sessions"][0]["engine"].clone();
    assert_eq!(engine, "cpu");
    for program in &programs {
        program.launch(0).unwrap();
        Client(program).synchronize().unwrap();
    }
    let work = status_of(&daemon, ONE)["work"].clone();
    assert_eq!((&work["launches"], &work["waits"]), (&2.into(), &2.into()));
    assert!(two.memory_allocate(25 << 20).is_err());
    one.memory_free(pointer).unwrap();
    assert_eq!(used(&daemon), Some(0));
    assert!(two.memory_allocate(25 << 20).is_ok());
    // A kernel that begins without a daemon is the next one's to watch.
    daemon.kill();
    programs[0].launch(1).unwrap();
    thread::sleep(Duration::from_millis(200));
    daemon.start_again();
    emulator.attach_again(&daemon);
    for channel in [1, 2] {
        assert_eq!(emulator.adopt(channel), 0, "{}", daemon.log());
    }
    let start = Instant::now();
    while !emulator.lost.contains(&1) {
        emulator.hear(Duration::from_millis(100));
        assert!(start.elapsed() < Duration::from_secs(4), "{}", daemon.log());
    }
    programs[1].launch(0).unwrap();
    two.synchronize().unwrap();
    assert_eq!(used(&daemon), Some(25 << 20));
    let audit = fs::read_to_string(folder(&daemon).join("audit")).unwrap();
    assert_eq!(audit.matches("\"adopted\"").count(), 4, "{audit}");
    // An engine that is no more the same is another one.
    daemon.kill();
    let engine = "kernel-us = 400";
    write(&folder(&daemon), &machines(engine, "", ""));
    daemon.start_again();
    emulator.attach_again(&daemon);
    assert_eq!(emulator.adopt(2), errno(Errno::NODEV), "{}", daemon.log());
}

#[test]
fn operators_are_told_and_sessions_are_noted() {
    let daemon = daemon(&machines("", "pool = \"default\"", ""));
    let mut emulator = Emulator::of(&daemon, ONE).unwrap();
    let program = Program::begin(emulator.open(5));
    for _ in 0..10 {
        program.launch(0).unwrap();
    }
    let pointer = Client(&program).memory_allocate(4096);
    let pointer = pointer.unwrap_or_else(|_| panic!("{}", daemon.log()));
    Client(&program).write_from(pointer, 0, 0, 0, 4096).unwrap();
    Client(&program).synchronize().unwrap();
    let status = status_of(&daemon, ONE);
    let session = &status["sessions"][0];
    assert_eq!(
        (&session["channel"], &session["engine"]),
        (&5.into(), &"cpu".into())
    );
    let work = &session["work"];
    assert_eq!(
        (&work["launches"], &work["copies"], &work["bytes_in"]),
        (&10.into(), &1.into(), &4096.into())
    );
    // Nobody else wanted the engine: one lease for all.
    assert_eq!(work["waits"], 1);
    assert!(work["latency_p99_ns"].as_u64().unwrap() > 0, "{work}");
    let metrics = ask(&daemon, r#"{"do": "metrics"}"#);
    let metrics = metrics["metrics"].as_str().unwrap();
    let launches = format!(
        "vgpu_launches_total{{vm=\"{}\",pool=\"default\"}} 10",
        uuid(ONE)
    );
    assert!(metrics.lines().any(|line| line == launches), "{metrics}");

    for (request, said) in [
        ("nonsense", "no request"),
        (r#"{"do": "nothing"}"#, "unknown variant"),
        (
            r#"{"do": "quarantine", "machine": "1b4e28ba-2fa1-11d2-883f-0016d3cca427", "on": true}"#,
            "is not known",
        ),
    ] {
        let failed = ask(&daemon, request);
        assert!(
            failed["failed"]["cause"].as_str().unwrap().contains(said),
            "{failed}"
        );
    }
    write(&folder(&daemon), &machines("", "weight = 0", ""));
    let failed = ask(&daemon, r#"{"do": "reload"}"#);
    let cause = failed["failed"]["cause"].as_str().unwrap();
    assert!(cause.contains("link.toml:8: weight is from 1"), "{failed}");
    assert_eq!(status_of(&daemon, ONE)["weight"], 100);
    write(&folder(&daemon), &machines("", "weight = 7", ""));
    assert_eq!(ask(&daemon, r#"{"do": "reload"}"#), "done");
    assert_eq!(status_of(&daemon, ONE)["weight"], 7);

    assert_eq!(emulator.close(5), 0);
    let audit = fs::read_to_string(folder(&daemon).join("audit")).unwrap();
    let lines: Vec<Value> = audit
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2, "{audit}");
    for (line, event) in lines.iter().zip(["opened", "closed"]) {
        assert_eq!(
            (&line["event"], &line["machine"], &line["channel"]),
            (&event.into(), &uuid(ONE).into(), &5.into())
        );
    }
    assert_eq!(lines[1]["work"]["launches"], 10);
    assert_eq!(
        status_of(&daemon, ONE)["work"]["launches"],
        10,
        "what is over counts on"
    );
}

#[test]
fn memory_that_is_shared_is_counted_and_bounded_for_each_machine() {
    let daemon = daemon(&machines("", "memory-mib = 6", ""));
    let mut emulator = Emulator::of(&daemon, ONE).unwrap();
    let slice = SLICE_SIZE as u64;
    let pinned = |daemon: &Daemon, machine| {
        let status = status_of(daemon, machine);
        let sessions = status["sessions"].as_array().unwrap().clone();
        let of_sessions = sessions.iter().map(|it| it["pinned"].as_u64().unwrap());
        let pinned = status["pinned"].as_u64().unwrap();
        assert_eq!(of_sessions.sum::<u64>(), pinned);
        pinned
    };
    emulator.open(1);
    assert_eq!(pinned(&daemon, ONE), slice);
    assert_eq!(status_of(&daemon, ONE)["pinned_quota"], 6 << 20);
    let most = (6 << 20) - slice;
    assert_eq!(emulator.add(1, 1, most + 4096).0, errno(Errno::NOMEM));
    assert_eq!(emulator.add(1, 1, most).0, 0);
    assert_eq!(pinned(&daemon, ONE), 6 << 20);
    // Of all sessions together.
    assert_eq!(emulator.add(1, 2, 4096).0, errno(Errno::NOMEM));
    assert_eq!(emulator.try_open(2).0, errno(Errno::NOMEM));
    let metrics = ask(&daemon, r#"{"do": "metrics"}"#);
    let metrics = metrics["metrics"].as_str().unwrap();
    let line = format!(
        "vgpu_pinned_bytes{{vm=\"{}\",pool=\"default\"}} {}",
        uuid(ONE),
        6 << 20
    );
    assert!(metrics.lines().any(|it| it == line), "{metrics}");
    let mut other = Emulator::of(&daemon, OTHER).unwrap();
    other.open(1);
    assert_eq!(pinned(&daemon, OTHER), slice, "another machine has its own");
    assert_eq!(emulator.delete(1, 1), 0);
    assert_eq!(pinned(&daemon, ONE), slice);
    assert_eq!(emulator.close(1), 0);
    assert_eq!(pinned(&daemon, ONE), 0);
}

/// Kernels that wait in the ring, and the engine's way from one session to another and back.
#[test]
fn what_waits_and_who_is_next_are_counted() {
    let daemon = daemon(&machines("kernel-us = 3000", "", ""));
    let mut emulators = [ONE, OTHER].map(|machine| Emulator::of(&daemon, machine).unwrap());
    let programs = emulators.each_mut().map(|it| Program::begin(it.open(0)));
    for _ in 0..100 {
        programs
            .iter()
            .for_each(|program| program.launch(0).unwrap());
    }
    let queued = || {
        status_of(&daemon, ONE)["work"]["queued_bytes"]
            .as_u64()
            .unwrap()
    };
    let start = Instant::now();
    let mut most = 0;
    while most == 0 {
        most = queued();
        assert!(start.elapsed() < Duration::from_secs(5), "nothing waits");
    }
    assert!(most <= 256 << 10, "{most}");
    programs
        .iter()
        .for_each(|program| Client(program).synchronize().unwrap());
    crate::within_a_second("it still waits", || queued() == 0);
    let status = ask(&daemon, r#"{"do": "status"}"#);
    let switches = status["status"]["engines"][0]["switches"].as_u64().unwrap();
    assert!(switches > 2, "{switches}");
}
