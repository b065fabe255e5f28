//! `vgpu-stub qemu` on stand-ins for QEMUs that answer well and badly: shell
//! scripts. With real QEMUs it is tested in the test bed.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant, UNIX_EPOCH};

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// What a stand-in answers.
struct Qemu {
    version: &'static str,
    devices: &'static str,
    accelerators: &'static str,
    machines: &'static str,
}

const OLD: Qemu = Qemu {
    version: "QEMU emulator version 4.2.1 (old)",
    devices: "name \"e1000\", bus PCI",
    accelerators: "Possible accelerators: kvm, xen, hax, tcg",
    machines: "Supported machines are:\npc-0.10  Standard PC\nxenfv  Xen\nisapc  ISA PC",
};

const NEW: Qemu = Qemu {
    version: "QEMU emulator version 4.2.1 (new)",
    devices: "name \"e1000\", bus PCI\nname \"vgpu-stub\", bus PCI, desc \"…\"",
    accelerators: "Accelerators supported in QEMU binary:\nxen\ntcg",
    machines: "Supported machines are:\npc-0.10  Standard PC\nxenfv  Xen",
};

impl Qemu {
    fn script(&self) -> String {
        format!(
            "#!/bin/sh\ncase $1 in\n--version) echo '{}' ;;\n-device) echo '{}' ;;\n\
             -accel) echo '{}' ;;\n-machine) echo '{}' ;;\nesac\n",
            self.version, self.devices, self.accelerators, self.machines
        )
    }
}

fn executable(path: &Path, content: &str) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A file, in all that may be told of it.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    content: Vec<u8>,
    inode: u64,
    mode: u32,
    owner: (u32, u32),
    modified: (i64, i64),
}

/// A host with a QEMU, and one that was built.
struct Host(TempDir);

impl Host {
    fn new() -> Self {
        let host = Self(tempfile::tempdir().unwrap());
        fs::create_dir(host.0.path().join("bin")).unwrap();
        executable(&host.qemu(), &OLD.script());
        executable(&host.built(), &NEW.script());
        let qemu = File::open(host.qemu()).unwrap();
        qemu.set_permissions(fs::Permissions::from_mode(0o751))
            .unwrap();
        qemu.set_modified(UNIX_EPOCH + Duration::from_secs(1_000_000_000))
            .unwrap();
        // Only root may give files away.
        let _ = std::os::unix::fs::chown(host.qemu(), Some(7), Some(8));
        host
    }

    fn qemu(&self) -> PathBuf {
        self.0.path().join("bin/qemu-system-i386")
    }

    fn built(&self) -> PathBuf {
        self.0.path().join("built")
    }

    fn beside(&self, what: &str) -> PathBuf {
        self.0
            .path()
            .join(format!("bin/qemu-system-i386.vgpu-stub-{what}"))
    }

    /// The folder that the QEMU is in.
    fn files(&self) -> BTreeMap<String, Entry> {
        let files = fs::read_dir(self.0.path().join("bin")).unwrap();
        files
            .map(|file| {
                let file = file.unwrap();
                let facts = file.metadata().unwrap();
                let entry = Entry {
                    content: fs::read(file.path()).unwrap(),
                    inode: facts.ino(),
                    mode: facts.mode(),
                    owner: (facts.uid(), facts.gid()),
                    modified: (facts.mtime(), facts.mtime_nsec()),
                };
                (file.file_name().into_string().unwrap(), entry)
            })
            .collect()
    }

    fn command(&self, action: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vgpu-stub"));
        command.args(["qemu", action, "--to"]).arg(self.qemu());
        if action == "install" {
            command.arg("--from").arg(self.built());
        }
        command.args(arguments).stdin(Stdio::null());
        command
    }

    fn run(&self, action: &str, arguments: &[&str]) -> Output {
        self.command(action, arguments).output().unwrap()
    }

    /// What it says on stdout when it does its work.
    fn done(&self, action: &str, arguments: &[&str]) -> String {
        let output = self.run(action, arguments);
        assert!(output.status.success(), "{action}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What it says when it refuses, and changes nothing.
    fn refused(&self, action: &str, arguments: &[&str]) -> String {
        let before = self.files();
        let said = told(&self.run(action, arguments));
        assert_eq!(self.files(), before, "{said}");
        said
    }

    fn status(&self) -> (Option<i32>, Value) {
        let output = self.run("status", &["--json"]);
        let json = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), json)
    }

    fn state(&self) -> String {
        self.status().1["state"].as_str().unwrap().to_owned()
    }
}

/// The cause and the mend of a refusal.
fn told(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(said.matches("error: ").count(), 1, "{said}");
    assert_eq!(said.matches("mend:  ").count(), 1, "{said}");
    said
}

#[test]
fn what_is_installed_is_rolled_back_to_the_very_file_of_before() {
    let host = Host::new();
    let before = host.files();
    let said = host.done("install", &[]);
    assert!(said.contains("4.2.1 (new), with vgpu-stub"), "{said}");
    assert_eq!(fs::read(host.qemu()).unwrap(), NEW.script().as_bytes());

    let after = host.files();
    let (old, new) = (&before["qemu-system-i386"], &after["qemu-system-i386"]);
    assert_eq!((new.mode, new.owner), (old.mode, old.owner));
    assert_eq!(after["qemu-system-i386.vgpu-stub-backup"], *old);
    assert_eq!(after.len(), 3, "the new one, the backup, the record");

    let (code, status) = host.status();
    assert_eq!(code, Some(0));
    assert_eq!(status["state"], "installed");
    assert_eq!(status["qemu"], NEW.version);
    assert_eq!(status["has_device"], true);
    assert_eq!(status["backup_qemu"], OLD.version);

    host.done("rollback", &[]);
    assert_eq!(host.files(), before);
    let (code, status) = host.status();
    assert_eq!((code, &status["state"]), (Some(0), &"untouched".into()));
    assert_eq!(
        (&status["has_device"], &status["backup"]),
        (&false.into(), &Value::Null)
    );
}

#[test]
fn twice_is_as_once() {
    let host = Host::new();
    let before = host.files();
    host.done("install", &[]);
    let installed = host.files();
    assert!(host.done("install", &[]).contains("is that QEMU already"));
    assert_eq!(host.files(), installed);
    host.done("rollback", &[]);
    assert!(host.done("rollback", &[]).contains("nothing to do"));
    assert_eq!(host.files(), before);
}

#[test]
fn a_dry_run_changes_nothing() {
    let host = Host::new();
    let before = host.files();
    assert!(
        host.done("install", &["--dry-run"])
            .contains("would be replaced")
    );
    assert_eq!(host.files(), before);
    host.done("install", &[]);
    let installed = host.files();
    assert!(host.done("rollback", &["--dry-run"]).contains("again"));
    assert_eq!(host.files(), installed);
}

#[test]
fn a_built_qemu_that_will_not_do_is_refused() {
    let host = Host::new();
    let lacks = |change: fn(&mut Qemu)| {
        let mut qemu = NEW;
        change(&mut qemu);
        qemu.script()
    };
    for (content, cause) in [
        (
            lacks(|qemu| qemu.devices = OLD.devices),
            "does not have vgpu-stub",
        ),
        (
            lacks(|qemu| qemu.accelerators = "tcg\nxenon"),
            "has no xen accelerator",
        ),
        (
            lacks(|qemu| qemu.machines = "pc-0.10  PC"),
            "toolstacks name: xenfv",
        ),
        (
            lacks(|qemu| qemu.machines = "xenfv  Xen"),
            "toolstacks name: pc-0.10",
        ),
        (
            lacks(|qemu| qemu.version = "GNU coreutils 9"),
            "it is no QEMU",
        ),
        ("#!/bin/sh\nkill -SEGV $$\n".into(), "signal: 11"),
        (
            "#!/bin/sh\necho missing libfdt.so.1 >&2; exit 127\n".into(),
            "missing libfdt.so.1",
        ),
        ("#!/bin/sh\nyes\n".into(), "does not work here"),
        ("#!/nowhere/sh\n".into(), "No such file"),
        (String::new(), "does not work here"),
    ] {
        executable(&host.built(), &content);
        for arguments in [&[][..], &["--dry-run"]] {
            let said = host.refused("install", arguments);
            assert!(said.contains(cause), "{cause}: {said}");
        }
        assert_eq!(host.state(), "untouched");
    }
}

#[test]
fn a_target_that_is_no_qemu_is_refused() {
    let host = Host::new();
    for content in ["#!/bin/sh\necho GNU coreutils\n", "text", ""] {
        executable(&host.qemu(), content);
        let said = host.refused("install", &[]);
        assert!(said.contains("cannot be told to be a QEMU"), "{said}");
    }
    let path = |name: &str| {
        host.0
            .path()
            .join(name)
            .into_os_string()
            .into_string()
            .unwrap()
    };
    executable(&host.beside("backup"), "x");
    for (to, from, cause) in [
        ("bin", "built", "is not a file"),
        ("none", "built", "No such file"),
        ("built", "built", "cannot take its own place"),
        ("built", "bin", "is not a file"),
        ("built", "none", "No such file"),
        (
            "bin/qemu-system-i386.vgpu-stub-backup",
            "built",
            "of this command's own",
        ),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_vgpu-stub"))
            .args(["qemu", "install", "--to", &path(to), "--from", &path(from)])
            .output()
            .unwrap();
        let said = told(&output);
        assert!(said.contains(cause), "{to} {from}: {said}");
    }
}

#[test]
fn a_link_is_followed_and_told() {
    let host = Host::new();
    let link = host.0.path().join("link");
    symlink("bin/qemu-system-i386", &link).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_vgpu-stub"))
        .args(["qemu", "install", "--to"])
        .arg(&link)
        .arg("--from")
        .arg(host.built())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("link is a link to ") && said.contains("bin/qemu-system-i386"),
        "{said}"
    );
    assert!(fs::symlink_metadata(link).unwrap().is_symlink());
    assert_eq!(host.state(), "installed");
}

/// The mend that is printed is typed in a shell.
#[test]
fn what_is_printed_to_be_typed_can_be_typed() {
    let folder = tempfile::tempdir().unwrap();
    let qemu = folder.path().join("my qemus/it's qemu");
    fs::create_dir(qemu.parent().unwrap()).unwrap();
    executable(&qemu, &OLD.script());
    let built = folder.path().join("built");
    executable(&built, &NEW.script());
    let program = || Command::new(env!("CARGO_BIN_EXE_vgpu-stub"));
    let mut install = program();
    install
        .args(["qemu", "install", "--from"])
        .arg(&built)
        .arg("--to")
        .arg(&qemu);
    let output = install.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    let (_, typed) = said.split_once("to have the old one back: ").unwrap();
    let folder_of = Path::new(env!("CARGO_BIN_EXE_vgpu-stub")).parent().unwrap();
    let path = format!("{}:/usr/bin:/bin", folder_of.display());
    let type_it = |line: &str| {
        Command::new("sh")
            .args(["-c", line])
            .env("PATH", &path)
            .status()
    };
    assert!(type_it(typed).unwrap().success(), "{typed}");
    assert_eq!(fs::read(&qemu).unwrap(), OLD.script().as_bytes());

    // The mends of a QEMU that is gone, and of one that was replaced.
    assert!(install.output().unwrap().status.success());
    fs::remove_file(&qemu).unwrap();
    let gone = told(
        &program()
            .args(["qemu", "status", "--to"])
            .arg(&qemu)
            .output()
            .unwrap(),
    );
    let (_, typed) = gone.split_once("put it back: ").unwrap();
    assert!(type_it(typed).unwrap().success(), "{typed}");
    assert_eq!(fs::read(&qemu).unwrap(), OLD.script().as_bytes());
    assert!(install.output().unwrap().status.success());
    executable(&qemu, "#!/bin/sh\n");
    let changed = told(
        &program()
            .args(["qemu", "rollback", "--to"])
            .arg(&qemu)
            .output()
            .unwrap(),
    );
    let (_, typed) = changed.split_once("old one back: ").unwrap();
    assert!(type_it(typed).unwrap().success(), "{typed}");
    assert_eq!(fs::read(&qemu).unwrap(), OLD.script().as_bytes());
}

/// It stays the old QEMU, and whoever starts it so has no device.
#[test]
fn a_second_name_of_the_old_qemu_is_told() {
    let host = Host::new();
    let second = host.0.path().join("bin/qemu dm");
    fs::hard_link(host.qemu(), &second).unwrap();
    fs::hard_link(host.qemu(), host.0.path().join("elsewhere")).unwrap();
    let output = host.run("install", &[]);
    let note = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{note}");
    let line = format!(
        "note: the old QEMU has 2 other name(s): '{}'; ",
        second.display()
    );
    assert!(note.contains(&line), "{note}");
    let status = host.run("status", &[]);
    let said = String::from_utf8(status.stderr).unwrap();
    assert_eq!(status.status.code(), Some(0));
    assert!(said.contains(&line), "{said}");
    host.done("rollback", &[]);
    assert_eq!(
        fs::metadata(&second).unwrap().ino(),
        fs::metadata(host.qemu()).unwrap().ino()
    );

    let alone = Host::new();
    let output = alone.run("install", &[]);
    assert!(
        !String::from_utf8(output.stderr)
            .unwrap()
            .contains("other name")
    );
}

#[test]
fn another_build_waits_for_a_rollback() {
    let host = Host::new();
    host.done("install", &[]);
    executable(&host.built(), &(NEW.script() + "# newer\n"));
    let said = host.refused("install", &[]);
    assert!(
        said.contains("another QEMU with vgpu-stub") && said.contains("rollback"),
        "{said}"
    );
}

#[test]
fn an_update_of_the_package_is_not_undone_unasked() {
    let host = Host::new();
    let before = host.files();
    host.done("install", &[]);
    // As a package manager does.
    executable(&host.beside("x"), &(OLD.script() + "# updated\n"));
    fs::rename(host.beside("x"), host.qemu()).unwrap();
    assert_eq!(host.status().0, Some(1));
    assert_eq!(host.state(), "changed");
    for action in ["install", "rollback"] {
        let said = host.refused(action, &[]);
        assert!(
            said.contains("has been replaced since") && said.contains("--force"),
            "{said}"
        );
    }
    host.done("rollback", &["--force"]);
    assert_eq!(host.files(), before);
}

#[test]
fn a_run_that_was_cut_short_is_made_good() {
    let host = Host::new();
    let before = host.files();
    host.done("install", &[]);
    let record = fs::read(host.beside("record")).unwrap();
    host.done("rollback", &[]);
    // After the record; and after the backup, which is a second name.
    for with_backup in [false, true] {
        for action in ["install", "rollback"] {
            fs::write(host.beside("record"), &record).unwrap();
            fs::write(host.beside("new"), "half of it").unwrap();
            if with_backup {
                fs::hard_link(host.qemu(), host.beside("backup")).unwrap();
            }
            assert_eq!(host.state(), "interrupted");
            assert_eq!(host.status().0, Some(1));
            host.done(action, &[]);
            if action == "install" {
                assert_eq!(host.state(), "installed");
                assert_eq!(host.files().len(), 3);
            } else {
                fs::remove_file(host.beside("new")).unwrap();
            }
            host.done("rollback", &[]);
            assert_eq!(host.files(), before);
        }
    }
}

#[test]
fn files_that_do_not_fit_together_are_left_alone() {
    type Plant = fn(&Host);
    let cases: [(Plant, &str); 5] = [
        (
            |host| fs::remove_file(host.beside("record")).unwrap(),
            "but no record of an install",
        ),
        (
            |host| fs::write(host.beside("record"), "{").unwrap(),
            "cannot read",
        ),
        (
            |host| {
                let record = fs::read_to_string(host.beside("record")).unwrap();
                let later = record.replace("\"version\":1", "\"version\":2");
                fs::write(host.beside("record"), later).unwrap();
            },
            "its version is 2",
        ),
        (
            |host| fs::remove_file(host.beside("backup")).unwrap(),
            "is gone",
        ),
        (
            |host| fs::write(host.beside("backup"), "x").unwrap(),
            "is not the file that was backed up",
        ),
    ];
    for (plant, cause) in cases {
        let host = Host::new();
        host.done("install", &[]);
        plant(&host);
        for (action, arguments) in [
            ("install", &[][..]),
            ("rollback", &[]),
            ("rollback", &["--force"]),
        ] {
            let said = host.refused(action, arguments);
            assert!(said.contains(cause), "{action}: {said}");
        }
        assert_eq!(host.status().0, Some(1));
        assert_eq!(host.state(), "broken");
    }
}

#[test]
fn a_qemu_that_is_gone_is_told_with_its_backup() {
    let host = Host::new();
    host.done("install", &[]);
    fs::remove_file(host.qemu()).unwrap();
    let said = host.refused("rollback", &[]);
    assert!(
        said.contains("its backup is there") && said.contains("mv "),
        "{said}"
    );
}

/// The processes whose command line has this word.
fn running(word: &str) -> usize {
    let processes = fs::read_dir("/proc").unwrap();
    processes
        .filter_map(|process| fs::read(process.unwrap().path().join("cmdline")).ok())
        .filter(|line| {
            line.split(|byte| *byte == 0)
                .any(|part| part == word.as_bytes())
        })
        .count()
}

/// A stand-in that does not end, nor does what it starts. Its processes are
/// known by the number, which is this test's alone.
fn hangs(host: &Host) -> String {
    let seconds = format!("300.{}{:?}", std::process::id(), thread::current().id());
    let seconds: String = seconds
        .chars()
        .filter(|c| c.is_ascii_digit() || *c == '.')
        .collect();
    let content = format!("#!/bin/sh\nsleep {seconds} &\nexec sleep {seconds}\n");
    executable(&host.built(), &content);
    seconds
}

#[test]
fn a_qemu_that_hangs_is_ended_with_all_that_it_started() {
    let host = Host::new();
    let seconds = hangs(&host);
    let started = Instant::now();
    let said = host.refused("install", &[]);
    assert!(said.contains("did not end within 10 seconds"), "{said}");
    assert!(started.elapsed() < Duration::from_secs(20));
    // What it had started is another's child: killed, it ends when its turn comes.
    while running(&seconds) > 0 {
        assert!(started.elapsed() < Duration::from_secs(30));
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_signal_ends_it_with_nothing_changed_and_nothing_left() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let host = Host::new();
        let before = host.files();
        let seconds = hangs(&host);
        let mut command = host.command("install", &[]);
        let child = command.stderr(Stdio::piped()).spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        while running(&seconds) < 2 {
            assert!(Instant::now() < deadline, "the stand-in did not start");
            thread::sleep(Duration::from_millis(5));
        }
        let started = Instant::now();
        kill_process(Pid::from_child(&child), signal).unwrap();
        let said = told(&child.wait_with_output().unwrap());
        assert!(started.elapsed() < Duration::from_secs(5), "it waited");
        assert!(
            said.contains("a signal came; nothing was changed"),
            "{said}"
        );
        // What was killed takes a moment to be gone.
        while running(&seconds) > 0 {
            assert!(started.elapsed() < Duration::from_secs(10), "it is left");
            thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(host.files(), before);
    }
}

#[test]
fn a_disk_that_is_full_changes_nothing() {
    let host = Host::new();
    let before = host.files();
    executable(&host.built(), &(NEW.script() + &"#".repeat(1 << 16)));
    let command = host.command("install", &[]);
    // A write past the limit fails, as on a full disk.
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$@\"", "sh"])
        .arg(command.get_program())
        .args(command.get_args())
        .output()
        .unwrap();
    let said = told(&output);
    assert!(
        said.contains("File too large") && said.contains("has room"),
        "{said}"
    );
    assert_eq!(host.files(), before);
}

#[test]
fn one_works_at_a_time() {
    let host = Host::new();
    let folder = File::open(host.0.path().join("bin")).unwrap();
    flock(&folder, FlockOperation::LockExclusive).unwrap();
    for action in ["install", "rollback"] {
        let said = host.refused(action, &[]);
        assert!(said.contains("cannot lock"), "{said}");
    }
    assert_eq!(host.state(), "untouched");
}

#[test]
fn nobody_who_listens_is_no_reason_to_stop_half_way() {
    let full = || File::options().write(true).open("/dev/full").unwrap();
    let host = Host::new();
    let mut install = host.command("install", &[]);
    assert!(install.stdout(full()).status().unwrap().success());
    assert_eq!(host.state(), "installed");
    let output = host.command("status", &[]).stdout(full()).output().unwrap();
    assert!(told(&output).contains("cannot print the status"));
}

#[test]
fn help_has_examples_and_exit_codes() {
    for (arguments, words) in [
        (&["qemu", "--help"][..], &["Examples:", "Exit code:"][..]),
        (&["qemu", "install", "--help"], &["Examples:", "--dry-run"]),
        (&["qemu", "rollback", "--help"], &["Examples:", "--force"]),
        (&["qemu", "status", "--help"], &["Examples:", "JSON:"]),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_vgpu-stub"))
            .args(arguments)
            .output()
            .unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        for word in words {
            assert!(help.contains(word), "{arguments:?}: {word}");
        }
    }
}
