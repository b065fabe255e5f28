//! The emulator, started by the command that operators type.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use vfio_user::Client;

const COMMAND: &str = env!("CARGO_BIN_EXE_vgpu-stub");
const CONFIG: u32 = 7;
const BAR0: u32 = 0;
const LIMIT: Duration = Duration::from_secs(20);

/// The program of another package, which cargo puts beside the command.
fn emulator() -> PathBuf {
    let path = Path::new(COMMAND).with_file_name("vgpu-emulator");
    assert!(
        path.is_file(),
        "build it first: cargo build -p vgpu-emulator"
    );
    path
}

/// A folder for sockets, and for programs.
struct Bed(TempDir);

impl Bed {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Installs a program in the folder, in place of what may run.
    fn install(&self, name: &str, content: &[u8]) -> PathBuf {
        let (new, path) = (self.path("new"), self.path(name));
        fs::write(&new, content).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(&new, &path).unwrap();
        path
    }

    /// `vgpu-stub vfio-user`, by the program at this path.
    fn vfio_user(&self, command: impl AsRef<Path>) -> Command {
        let mut command = Command::new(command.as_ref());
        command.args(["vfio-user", "--socket"]);
        command.arg(self.path("vgpu.sock"));
        command
    }
}

/// A server that is ready. It does not outlive its test.
struct Serving(Child);

impl Serving {
    fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let stdout = child.stdout.as_mut().unwrap();
        // One line and no more, so nothing is lost in this buffer.
        BufReader::new(stdout).read_line(&mut line).unwrap();
        assert!(
            line.starts_with("vgpu-stub vfio-user: ready on /"),
            "{line}"
        );
        Self(child)
    }

    fn file(&self, name: &str) -> PathBuf {
        format!("/proc/{}/{name}", self.0.id()).into()
    }

    fn end(mut self, signal: Signal) -> Option<i32> {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
        self.ended().0
    }

    /// Its exit code and its log, once it has ended.
    fn ended(&mut self) -> (Option<i32>, String) {
        let mut log = String::new();
        let stderr = self.0.stderr.as_mut().unwrap();
        stderr.read_to_string(&mut log).unwrap();
        (self.0.wait().unwrap().code(), log)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn read(client: &mut Client, region: u32, offset: u64) -> u32 {
    let mut data = [0; 4];
    client.region_read(region, offset, &mut data).unwrap();
    u32::from_le_bytes(data)
}

fn wait_until(done: impl Fn() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !done() {
        assert!(Instant::now() < deadline);
        thread::sleep(Duration::from_millis(5));
    }
}

/// What a command that could not run says.
fn refused(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr).unwrap()
}

/// Who waits for the command waits for the emulator, and finds it where the command was typed.
#[test]
fn the_command_becomes_the_emulator() {
    let bed = Bed::new();
    let mut command = bed.vfio_user(COMMAND);
    let server = Serving::start(command.args(["--device", "revision=0x7,bar0-size=64K"]));
    assert_eq!(
        fs::read_link(server.file("exe")).unwrap(),
        emulator().canonicalize().unwrap()
    );
    let line = fs::read(server.file("cmdline")).unwrap();
    let line = String::from_utf8(line).unwrap().replace('\0', " ");
    let socket = bed.path("vgpu.sock");
    assert_eq!(
        line,
        format!(
            "vgpu-stub vfio-user --socket {} --socket-mode 0600 --device revision=7,bar0-size=64K --call=2 ",
            socket.display()
        )
    );
    let mut client = Client::new(&socket).unwrap();
    assert_eq!(read(&mut client, CONFIG, 0x08), 0x1200_0007);
    assert_eq!(client.region(BAR0).unwrap().size, 65536);
    assert_eq!(server.end(Signal::TERM), Some(0));
}

/// The other way that it is started: in the background, by a device model that waits for a line.
#[test]
fn a_detached_one_says_on_stdout_why_it_cannot_start() {
    emulator();
    let words = [
        "xen",
        "--detached",
        "--domid",
        "7",
        "--",
        "-device",
        "vgpu-stub",
    ];
    let output = Command::new(COMMAND).args(words).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let (said, told) = (output.stdout, output.stderr);
    let (said, told) = (
        String::from_utf8(said).unwrap(),
        String::from_utf8(told).unwrap(),
    );
    let cause = said.strip_prefix("failed: ").expect(&said);
    assert!(cause.contains("/dev/xen/privcmd"), "{cause}");
    assert!(
        told.starts_with(&format!("error: {}", cause.trim_end())),
        "{told}"
    );
    assert!(told.contains("\nmend:  "), "{told}");
}

#[test]
fn an_emulator_that_others_may_have_written_is_not_started() {
    let bed = Bed::new();
    let command = bed.install("vgpu-stub", &fs::read(COMMAND).unwrap());
    let program = bed.install("vgpu-emulator", &fs::read(emulator()).unwrap());
    fs::set_permissions(&program, fs::Permissions::from_mode(0o775)).unwrap();
    let said = refused(&mut bed.vfio_user(&command));
    let of_others = format!("error: others may have written {}\n", program.display());
    assert!(said.starts_with(&of_others), "{said}");

    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    // Only root can give a file away.
    if std::os::unix::fs::chown(&program, Some(1), None).is_ok() {
        let said = refused(&mut bed.vfio_user(&command));
        assert!(said.starts_with(&of_others), "{said}");
    }
}

#[test]
fn without_the_emulator_there_is_a_cause_and_a_mend() {
    let bed = Bed::new();
    let alone = bed.install("vgpu-stub", &fs::read(COMMAND).unwrap());
    let said = refused(&mut bed.vfio_user(&alone));
    let folder = bed.0.path().display();
    assert_eq!(
        said,
        format!(
            "error: there is no {folder}/vgpu-emulator or /usr/lib/vgpu-stub/vgpu-emulator\n\
             mend:  install the package again, or put vgpu-emulator beside vgpu-stub\n"
        )
    );
    let mut xen = Command::new(&alone);
    let output = xen.args(["xen", "--detached", "--domid", "7"]).output();
    let stdout = String::from_utf8(output.unwrap().stdout).unwrap();
    assert!(stdout.starts_with("failed: there is no /"), "{stdout}");

    let broken = bed.install("vgpu-emulator", b"not a program");
    fs::set_permissions(broken, fs::Permissions::from_mode(0o644)).unwrap();
    let said = refused(&mut bed.vfio_user(&alone));
    assert!(said.starts_with("error: cannot run "), "{said}");
    assert!(
        said.contains("\nmend:  install the package again"),
        "{said}"
    );
    assert!(!bed.path("vgpu.sock").exists());
}

/// Packages replace the files of programs that run: a device goes on with what it was started by, to its end and after.
#[test]
fn an_upgrade_leaves_a_running_device_alone() {
    let bed = Bed::new();
    let command = bed.install("vgpu-stub", &fs::read(COMMAND).unwrap());
    let program = fs::read(emulator()).unwrap();
    bed.install("vgpu-emulator", &program);
    for newer in [Some(&b"#!/bin/sh\necho newer >&2\nexit 9\n"[..]), None] {
        let server = Serving::start(&mut bed.vfio_user(&command));
        let mut client = Client::new(&bed.path("vgpu.sock")).unwrap();
        match newer {
            Some(newer) => drop(bed.install("vgpu-emulator", newer)),
            None => fs::remove_file(bed.path("vgpu-emulator")).unwrap(),
        }
        assert_eq!(read(&mut client, CONFIG, 0), 0x1111_1af4);
        // Its guard does the rest.
        assert_eq!(server.end(Signal::KILL), None);
        wait_until(|| !bed.path("vgpu.sock").exists());
        assert!(client.reset().is_err());
        // What starts next takes the new one.
        let next = bed.vfio_user(&command).output().unwrap();
        assert_eq!(next.status.code(), newer.map_or(Some(2), |_| Some(9)));
        bed.install("vgpu-emulator", &program);
    }
}

#[test]
fn what_cannot_be_is_refused_with_cause_and_mend() {
    let bed = Bed::new();
    for (option, value, word) in [
        ("--device", "slot=5", "QEMU chooses the slot"),
        ("--device", "bar0-size=3K", "power of two from 4096"),
        ("--socket-mode", "888", "octal"),
        ("--socket-mode", "0444", "lets the owner write"),
        ("--socket-mode", "1777", "octal"),
        ("--trace", "everything", "possible values: access"),
    ] {
        let said = refused(bed.vfio_user(COMMAND).args([option, value]));
        assert!(said.contains(word), "{option} {value}: {said}");
    }
    let socket = bed.path("vgpu.sock");
    let said = refused(bed.vfio_user(COMMAND).arg("--control").arg(&socket));
    assert!(said.contains("are the same path"), "{said}");
}

/// The host's side, by the command that operators use.
#[test]
fn ctl_reaches_the_device() {
    let bed = Bed::new();
    let control = bed.path("control.sock");
    let mut command = bed.vfio_user(COMMAND);
    let mut server = Serving::start(command.arg("--control").arg(&control));
    let ctl = |arguments: &[&str]| {
        let output = Command::new(COMMAND)
            .args(["ctl", "--json", "--control"])
            .arg(&control)
            .args(arguments)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{said}");
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    assert_eq!(ctl(&["info"])["connected"], false);
    let mut client = Client::new(&bed.path("vgpu.sock")).unwrap();
    client.region_write(CONFIG, 0x04, &[2, 0]).unwrap();
    client.region_write(BAR0, 0x10, &[0x21, 0, 0, 0]).unwrap();
    client.region_write(BAR0, 0x11, &[1]).unwrap();
    ctl(&["set-status", "0xcafe"]);
    assert_eq!(read(&mut client, BAR0, 0x04), 0xcafe);
    let registers = ctl(&["registers"]);
    assert_eq!(registers["request_id"], 0x21);
    assert_eq!(registers["status"], 0xcafe);
    let counters = ctl(&["counters"]);
    for (name, count) in [
        ("config_writes", 1),
        ("bar0_writes", 2),
        ("bar0_reads", 1),
        ("refused_writes", 1),
        ("resets", 1),
        ("connections", 1),
    ] {
        assert_eq!(counters[name], count, "{name}");
    }
    ctl(&["trace", "on"]);
    assert_eq!(read(&mut client, BAR0, 0x10), 0x21);
    ctl(&["trace", "off"]);
    assert_eq!(read(&mut client, BAR0, 0x04), 0xcafe);
    let info = ctl(&["info"]);
    assert_eq!(info["connected"], true);
    assert_eq!(info["device_id"], 0x1111);
    ctl(&["shutdown"]);
    let (code, log) = server.ended();
    assert_eq!(code, Some(0));
    let traced = "vgpu-stub: bar0_read offset 0x10 size 4 value 0x21\n";
    assert!(log.contains(traced), "{log}");
    assert!(!log.contains("0xcafe"), "{log}");
    assert_eq!(fs::read_dir(bed.0.path()).unwrap().count(), 0);
}

/// systemd's unit starts what there is.
#[test]
fn the_unit_s_command_line_works() {
    let unit = include_str!("../../packaging/systemd/vgpu-stub-vfio-user@.service");
    let line = unit
        .lines()
        .find_map(|line| line.strip_prefix("ExecStart="))
        .unwrap();
    let bed = Bed::new();
    let run = bed.0.path().to_str().unwrap();
    fs::create_dir_all(bed.0.path().join("vgpu-stub/vm")).unwrap();
    let line = line
        .replace("%t", run)
        .replace("%i", "vm")
        .replace("$VGPU_STUB_OPTIONS", "--device bar0-size=64K");
    let mut words = line.split(' ');
    assert_eq!(words.next(), Some("/usr/bin/vgpu-stub"));
    let server = Serving::start(Command::new(COMMAND).args(words));
    let folder = bed.0.path().join("vgpu-stub/vm");
    let mut client = Client::new(&folder.join("vfio-user.sock")).unwrap();
    assert_eq!(read(&mut client, CONFIG, 0), 0x1111_1af4);
    assert!(folder.join("control.sock").exists());
    assert_eq!(server.end(Signal::TERM), Some(0));
}

/// An upgrade takes the program's place just after xl has started it as a device model.
#[test]
fn a_device_model_whose_file_is_gone_starts_an_emulator() {
    let bed = Bed::new();
    let command = bed.install("vgpu-stub", &fs::read(COMMAND).unwrap());
    let file = File::open(&command).unwrap();
    fs::remove_file(command).unwrap();
    let still_there = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
    let output = Command::new(still_there)
        .arg0("/usr/lib/vgpu-stub/vgpu-stub-device-model")
        .env("VGPU_STUB_QEMU", "/bin/true")
        .args(["-xen-domid", "5", "-device", "vgpu-stub"])
        .output()
        .unwrap();
    // It has come to the emulator's own program, which is not there.
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("there is no /"), "{said}");
}
