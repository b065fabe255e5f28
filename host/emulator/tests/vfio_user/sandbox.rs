//! The server serves nobody outside of its sandbox.

use std::env;
use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};
use vgpu_emulator::Call;

use crate::bed::{Bed, CONFIG, connect, read};

/// Names the socket of the server that the first of these tests is to become.
const SOCKET: &str = "VGPU_STUB_TEST_SOCKET";

#[test]
#[ignore = "it is run by another test, in a process of its own"]
fn become_a_server_without_seccomp() {
    let filter = SeccompFilter::new(
        [(libc::SYS_seccomp, Vec::new())].into(),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::ENOSYS.cast_unsigned()),
        TargetArch::x86_64,
    );
    let filter: BpfProgram = filter.unwrap().try_into().unwrap();
    seccompiler::apply_filter(&filter).unwrap();
    let mut server = Command::new(env!("CARGO_BIN_EXE_vgpu-emulator"));
    server
        .arg("vfio-user")
        .arg(Call::version_word())
        .arg("--socket");
    panic!("{}", server.arg(env::var_os(SOCKET).unwrap()).exec());
}

#[test]
fn without_one_it_serves_nobody() {
    let bed = Bed::new();
    let output = Command::new(env::current_exe().unwrap())
        .args(["sandbox::become_a_server_without_seccomp", "--exact"])
        .args(["--ignored", "--nocapture"])
        .env(SOCKET, bed.socket())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(!shown.contains("ready"), "{shown}");
    let cause = "error: the server is not in its sandbox: cannot limit the system calls: ";
    assert!(said.starts_with(cause), "{said}");
    assert!(said.contains("\nmend:  "), "{said}");
    assert_eq!(bed.files(), 0);
}

#[test]
fn all_its_threads_are_in_it() {
    let bed = Bed::new();
    let server = bed.serve(&["--control", bed.control().to_str().unwrap()]);
    let mut client = connect(&bed.socket());
    assert_eq!(read(&mut client, CONFIG, 0), 0x1111_1af4);
    let tasks = fs::read_dir(format!("/proc/{}/task", server.pid())).unwrap();
    let mut threads = 0;
    for task in tasks {
        let status = fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        for line in ["NoNewPrivs:\t1", "Seccomp:\t2"] {
            assert!(status.lines().any(|it| it == line), "{status}");
        }
        threads += 1;
    }
    assert!(threads >= 3, "{threads}");
}
