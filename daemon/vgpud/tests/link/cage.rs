//! What a machine's workers are kept in: as root a user and a control group of their own.

use std::fs;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::Uid;
use rustix::io::Errno;
use rustix::process::geteuid;
use rustix::thread::set_thread_res_uid;
use tempfile::TempDir;
use vgpu_abi::link::{ADOPT, Message, VERSION};
use vgpu_cuda_wire::Client;
use vgpu_ring::layout::SLICE_SIZE;

use crate::common::{children, kill, runs};
use crate::emulator::{Daemon, Emulator};
use crate::errno;
use crate::shares::{ONE, OTHER, Program, ask, machines, status_of, uuid, write};

/// The users that these tests take, each test its own: none is given away while a process runs as it.
const FIRST: u32 = 1_900_100_000;
const ADOPTED: u32 = FIRST + 10;
const LEFT: u32 = FIRST + 20;

/// A daemon with these lines about workers.
fn daemon(workers: &str) -> Daemon {
    Daemon::with(|command, folder| {
        let text = machines("", "device-memory-mib = 64", "") + "[workers]\n" + workers;
        write(folder, &text);
        for (option, name) in [("--config", "link.toml"), ("--control", "control")] {
            command.arg(option).arg(folder.join(name));
        }
    })
}

fn users(folder: &TempDir, first: u32, count: u32) -> String {
    let folder = folder.path().display();
    format!("uid-base = {first}\nuids = {count}\nusers-folder = \"{folder}\"\n")
}

/// What the kernel says of a process.
fn told(process: u32, what: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(what));
    line.unwrap()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

fn worker(daemon: &Daemon, machine: [u8; 16]) -> u32 {
    let status = status_of(daemon, machine);
    status["sessions"][0]["process"].as_u64().unwrap() as u32
}

#[test]
fn each_machines_workers_are_a_user_of_their_own() {
    if !geteuid().is_root() {
        return println!("not tried: it takes root");
    }
    let folder = tempfile::tempdir().unwrap();
    let mut daemon = daemon(&users(&folder, FIRST, 2));
    let mut emulators = [ONE, OTHER].map(|machine| Emulator::of(&daemon, machine).unwrap());
    let _guests = emulators.each_mut().map(|emulator| emulator.open(0));
    let workers = [ONE, OTHER].map(|machine| worker(&daemon, machine));
    for (user, process) in (FIRST..).zip(workers) {
        let four = [user; 4].map(|user| user.to_string()).join(" ");
        assert_eq!(told(process, "Uid:"), four);
        assert_eq!(told(process, "Gid:"), four);
        assert_eq!(told(process, "Groups:"), "");
        assert_eq!(told(process, "CapEff:"), "0000000000000000");
        assert_eq!(told(process, "Seccomp:"), "2");
    }
    for (machine, user) in [ONE, OTHER].into_iter().zip(FIRST..) {
        assert_eq!(status_of(&daemon, machine)["workers_user"], user);
        // It was noted before.
        let noted = fs::read_to_string(folder.path().join(user.to_string())).unwrap();
        assert_eq!(noted, uuid(machine));
    }
    let status = ask(&daemon, r#"{"do": "status"}"#);
    let told = format!("{FIRST} to {}", FIRST + 1);
    assert_eq!(status["status"]["workers"]["users"], told.as_str());
    // Each has its own again, whoever comes first, and also once a daemon was killed.
    let [one, other] = emulators;
    drop(one);
    let one = Emulator::of(&daemon, ONE).unwrap();
    assert_eq!(status_of(&daemon, ONE)["workers_user"], FIRST);
    daemon.kill();
    drop((one, other));
    crate::within_a_second("a worker stays", || !workers.iter().any(|&it| runs(it)));
    let daemon = self::daemon(&users(&folder, FIRST, 2));
    let _emulators = [OTHER, ONE].map(|machine| Emulator::of(&daemon, machine).unwrap());
    assert_eq!(status_of(&daemon, OTHER)["workers_user"], FIRST + 1);
    assert_eq!(status_of(&daemon, ONE)["workers_user"], FIRST);
}

/// A worker that has lost its daemon hears a process of its own user, as its guest may have made of another worker: it is no
/// daemon.
fn pretends(emulator: &Emulator, user: u32) {
    let (control, theirs) = vgpu_packet::pair().unwrap();
    let offer = Message {
        kind: ADOPT,
        version: VERSION,
        channel: 0,
        ..Message::default()
    };
    let (_, way) = &emulator.ways[0];
    thread::scope(|scope| {
        scope.spawn(|| {
            // Of this thread alone.
            let user = Uid::from_raw(user);
            set_thread_res_uid(user, user, user).unwrap();
            vgpu_packet::send(way, &offer, &[theirs.as_fd()]).unwrap();
        });
    });
    drop(theirs);
    let told = vgpu_packet::receive::<Message>(&control, 0);
    assert_eq!(
        told.map(|(message, _)| message),
        Err(vgpu_packet::Error::Gone)
    );
}

#[test]
fn the_next_daemon_adopts_workers_that_are_their_machines_users() {
    if !geteuid().is_root() {
        return println!("not tried: it takes root");
    }
    let folder = tempfile::tempdir().unwrap();
    let mut daemon = daemon(&users(&folder, ADOPTED, 2));
    let mut emulators = [ONE, OTHER].map(|machine| Emulator::of(&daemon, machine).unwrap());
    let programs = emulators.each_mut().map(|it| Program::begin(it.open(0)));
    let go_on = || {
        for program in &programs {
            program.launch_with(0, &[]).unwrap();
            Client(program).synchronize().unwrap();
        }
    };
    let workers = [ONE, OTHER].map(|machine| worker(&daemon, machine));
    for turn in 0..2 {
        daemon.kill();
        go_on();
        if turn == 0 {
            for (emulator, user) in emulators.iter().zip(ADOPTED..) {
                pretends(emulator, user);
            }
        }
        daemon.start_again();
        // Whoever comes first.
        for place in [1, 0] {
            emulators[place].attach_again(&daemon);
            assert_eq!(emulators[place].adopt(0), 0, "{}", daemon.log());
        }
        go_on();
        for ((machine, user), process) in [ONE, OTHER].into_iter().zip(ADOPTED..).zip(workers) {
            assert_eq!(worker(&daemon, machine), process);
            let status = status_of(&daemon, machine);
            assert_eq!(status["workers_user"], user);
            assert_eq!(status["pinned"], SLICE_SIZE as u64);
            let four = [user; 4].map(|user| user.to_string()).join(" ");
            assert_eq!(told(process, "Uid:"), four);
        }
    }
    // It can be ended, and another one is as ever.
    assert_eq!(emulators[0].close(0), 0);
    assert!(!runs(workers[0]));
    Program::begin(emulators[0].open(0))
        .launch_with(0, &[])
        .unwrap();

    // A worker of a user that is another machine's by now is refused, and ends.
    daemon.kill();
    for (machine, user) in [OTHER, ONE].into_iter().zip(ADOPTED..) {
        fs::write(folder.path().join(user.to_string()), uuid(machine)).unwrap();
    }
    daemon.start_again();
    emulators[1].attach_again(&daemon);
    assert_eq!(
        emulators[1].adopt(0),
        errno(Errno::PERM),
        "{}",
        daemon.log()
    );
    crate::within_a_second("a worker stays", || !runs(workers[1]));
}

#[test]
fn a_machine_without_a_user_left_is_not_attached() {
    if !geteuid().is_root() {
        return println!("not tried: it takes root");
    }
    let folder = tempfile::tempdir().unwrap();
    let daemon = daemon(&users(&folder, LEFT, 1));
    let one = Emulator::of(&daemon, ONE).unwrap();
    assert!(Emulator::of(&daemon, OTHER).is_none());
    crate::within_a_second("not logged", || daemon.log().contains("are taken"));
    drop(one);
    crate::within_a_second("not free", || Emulator::of(&daemon, OTHER).is_some());
}

#[test]
fn what_cannot_be_had_is_said_once() {
    let daemon = daemon("own-users = false\n");
    let mut emulator = Emulator::of(&daemon, ONE).unwrap();
    emulator.open(0);
    let own = geteuid().as_raw();
    assert_eq!(
        told(worker(&daemon, ONE), "Uid:"),
        [own; 4].map(|user| user.to_string()).join(" ")
    );
    let status = ask(&daemon, r#"{"do": "status"}"#);
    let workers = &status["status"]["workers"];
    assert_eq!(workers["users"], "the daemon's (own-users = false)");
    assert!(
        workers["groups"].as_str().unwrap().starts_with("none ("),
        "{workers}"
    );
    let log = daemon.log();
    for what in ["users of their own", "control groups"] {
        let line = format!("machines' workers run without {what}: ");
        assert_eq!(log.matches(&line).count(), 1, "{log}");
    }
}

/// A control group that this test may divide, which goes at its end.
struct Group(PathBuf);

impl Group {
    fn new() -> Option<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        let mount = mounts.lines().find(|line| line.contains(" - cgroup2 "))?;
        let at = Path::new(mount.split(' ').nth(4)?);
        let path = at.join(format!("vgpu-test-link-{}", std::process::id()));
        match fs::create_dir(&path) {
            Ok(()) => Some(Self(path)),
            Err(error) => {
                println!("not tried: {error}");
                None
            }
        }
    }

    fn of(&self, machine: [u8; 16]) -> PathBuf {
        self.0.join(format!("vm-{}", uuid(machine)))
    }

    fn processes(&self, machine: [u8; 16]) -> Vec<u32> {
        let text = fs::read_to_string(self.of(machine).join("cgroup.procs"));
        let text = text.unwrap_or_default();
        text.lines().map(|line| line.parse().unwrap()).collect()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let start = Instant::now();
        let removed = || {
            for machine in [ONE, OTHER] {
                let _ = fs::write(self.of(machine).join("cgroup.kill"), "1");
                let _ = fs::remove_dir(self.of(machine));
            }
            fs::remove_dir(&self.0).is_ok()
        };
        // What was killed is there for a moment.
        while !removed() && start.elapsed() < Duration::from_secs(1) {
            thread::sleep(Duration::from_millis(2));
        }
    }
}

struct Sleeper(Child);

impl Sleeper {
    fn start() -> Self {
        Self(Command::new("sleep").arg("1000").spawn().unwrap())
    }

    fn ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn each_machines_workers_are_in_a_group_that_goes_with_it() {
    let Some(group) = Group::new() else { return };
    let workers = format!("own-users = false\ncgroup = \"{}\"\n", group.0.display());
    let mut daemon = self::daemon(&workers);
    let mut emulators = [ONE, OTHER].map(|machine| Emulator::of(&daemon, machine).unwrap());
    let _guests = emulators.each_mut().map(|emulator| emulator.open(0));
    for machine in [ONE, OTHER] {
        assert_eq!(group.processes(machine), [worker(&daemon, machine)]);
    }
    assert_eq!(children(daemon.child.id()).len(), 2);
    // The next daemon leaves those where they are that it adopts, and their group to them.
    let workers_before = [ONE, OTHER].map(|machine| worker(&daemon, machine));
    daemon.kill();
    daemon.start_again();
    for emulator in &mut emulators {
        emulator.attach_again(&daemon);
        assert_eq!(emulator.adopt(0), 0, "{}", daemon.log());
    }
    thread::sleep(Duration::from_secs(7));
    for (machine, process) in [ONE, OTHER].into_iter().zip(workers_before) {
        assert_eq!(group.processes(machine), [process]);
    }
    let [one, other] = emulators;
    drop(one);
    crate::within_a_second("the group stays", || !group.of(ONE).exists());
    assert!(group.of(OTHER).exists());

    // Killed, it leaves its groups; what is in them it is not who ends.
    let mut strays = [Sleeper::start(), Sleeper::start()];
    fs::create_dir(group.of(ONE)).unwrap();
    for (stray, machine) in strays.iter().zip([ONE, OTHER]) {
        fs::write(
            group.of(machine).join("cgroup.procs"),
            stray.0.id().to_string(),
        )
        .unwrap();
    }
    kill(daemon.child.id());
    daemon.child.wait().unwrap();
    drop(other);
    let start = Instant::now();
    let daemon = self::daemon(&workers);
    let mut emulator = Emulator::of(&daemon, OTHER).unwrap();
    let _guest = emulator.open(0);
    // There is time to take processes over.
    thread::sleep(Duration::from_secs(3));
    assert!(!strays.iter_mut().any(Sleeper::ended));
    while !strays.iter_mut().all(Sleeper::ended) || group.of(ONE).exists() {
        assert!(start.elapsed() < Duration::from_secs(15));
        thread::sleep(Duration::from_millis(20));
    }
    assert!(start.elapsed() > Duration::from_secs(5));
    // The machine that is there goes on.
    assert_eq!(group.processes(OTHER), [worker(&daemon, OTHER)]);
    assert!(emulator.lost.is_empty());
    assert!(
        daemon.log().contains("ends 1 processes of a former daemon"),
        "{}",
        daemon.log()
    );
}

#[test]
fn a_worker_that_is_not_in_its_machines_group_is_not_adopted() {
    let Some(group) = Group::new() else { return };
    let workers = format!("own-users = false\ncgroup = \"{}\"\n", group.0.display());
    let mut daemon = self::daemon(&workers);
    let mut emulator = Emulator::of(&daemon, ONE).unwrap();
    let _guest = emulator.open(0);
    let process = worker(&daemon, ONE);
    daemon.kill();
    let elsewhere = group.of(OTHER);
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("cgroup.procs"), process.to_string()).unwrap();
    daemon.start_again();
    emulator.attach_again(&daemon);
    assert_eq!(emulator.adopt(0), errno(Errno::PERM), "{}", daemon.log());
    assert!(!runs(process));
}
