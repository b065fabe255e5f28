//! Who closes a pipe has seen enough; what cannot take the output is an error.

use std::fs::File;
use std::io;
use std::process::{Command, Stdio};

/// Commands that print, and their exit codes.
const COMMANDS: [(&[&str], i32); 6] = [
    (
        &[
            "doctor",
            "--guest",
            "--sysfs",
            "/nowhere",
            "--kernel-log",
            "/nowhere",
        ],
        1,
    ),
    (
        &[
            "doctor",
            "--guest",
            "--sysfs",
            "/nowhere",
            "--kernel-log",
            "/nowhere",
            "--json",
        ],
        1,
    ),
    (
        &[
            "cloudstack",
            "--hypervisor",
            "kvm",
            "--cloudstack-version",
            "4.22",
        ],
        0,
    ),
    (
        &[
            "cloudstack",
            "--hypervisor",
            "kvm",
            "--cloudstack-version",
            "4.22",
            "--json",
        ],
        0,
    ),
    (&["qemu", "status", "--to", "/usr/bin/env"], 1),
    (&["xl-config"], 0),
];

fn exit_code(words: &[&str], stdout: impl Into<Stdio>) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vgpu-stub"));
    let output = command.args(words).stdout(stdout).output().unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn a_closed_pipe_is_no_error() {
    for (words, code) in COMMANDS {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let (found, said) = exit_code(words, writer);
        assert_eq!(found, Some(code), "{words:?}: {said}");
        assert!(!said.contains("cannot print"), "{words:?}: {said}");
    }
}

#[test]
fn a_full_disk_is_one() {
    for (words, _) in COMMANDS {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let (found, said) = exit_code(words, full);
        assert_eq!(found, Some(2), "{words:?}: {said}");
        assert!(
            said.starts_with("error: cannot print "),
            "{words:?}: {said}"
        );
    }
}
