//! What a worker that its program has taken over would try: each act ends it.
//! The acts run in this program, started again, with the sandbox in force.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use vgpu_worker::sandbox::{Limits, enter};

/// A name, a system call, its first arguments.
type Act = (&'static str, i64, [i64; 4]);

const EXEC: i64 = libc::PROT_EXEC as i64;
const ANONYMOUS: i64 = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as i64;

const ACTS: &[Act] = &[
    ("open a file in old style", libc::SYS_open, [0; 4]),
    ("open a file in new style", libc::SYS_openat2, [0; 4]),
    ("run a program", libc::SYS_execve, [0; 4]),
    ("fork", libc::SYS_clone, [libc::SIGCHLD as i64, 0, 0, 0]),
    ("fork in old style", libc::SYS_fork, [0; 4]),
    (
        "new namespaces",
        libc::SYS_unshare,
        [libc::CLONE_NEWUSER as i64, 0, 0, 0],
    ),
    (
        "a socket",
        libc::SYS_socket,
        [libc::AF_INET as i64, libc::SOCK_STREAM as i64, 0, 0],
    ),
    ("connect", libc::SYS_connect, [0; 4]),
    ("kill its daemon", libc::SYS_kill, [1, 0, 0, 0]),
    ("signal a thread", libc::SYS_tgkill, [1, 1, 0, 0]),
    ("trace", libc::SYS_ptrace, [0; 4]),
    (
        "read another's memory",
        libc::SYS_process_vm_readv,
        [1, 0, 0, 0],
    ),
    ("a device's ioctl", libc::SYS_ioctl, [0; 4]),
    (
        "run what it wrote",
        libc::SYS_mmap,
        [0, 4096, EXEC, ANONYMOUS],
    ),
    (
        "make memory executable",
        libc::SYS_mprotect,
        [0, 4096, EXEC, 0],
    ),
    (
        "outlive its daemon",
        libc::SYS_prctl,
        [libc::PR_SET_PDEATHSIG as i64, 0, 0, 0],
    ),
    (
        "allow dumps",
        libc::SYS_prctl,
        [libc::PR_SET_DUMPABLE as i64, 1, 0, 0],
    ),
    ("raise a limit", libc::SYS_prlimit64, [0, 0, 1, 0]),
    ("another filter", libc::SYS_seccomp, [1, 0, 0, 0]),
    (
        "own signals by descriptor",
        libc::SYS_fcntl,
        [0, libc::F_SETOWN as i64, 1, 0],
    ),
    (
        "a duplicate",
        libc::SYS_fcntl,
        [0, libc::F_DUPFD as i64, 0, 0],
    ),
    ("keys", libc::SYS_keyctl, [0; 4]),
    ("a kernel program", libc::SYS_bpf, [0; 4]),
    ("another ring", libc::SYS_io_uring_setup, [0; 4]),
    ("mount", libc::SYS_mount, [0; 4]),
    ("become another user", libc::SYS_setuid, [0; 4]),
];

/// Not a test: a process that tries an act.
#[test]
fn act() {
    let Some(number) = std::env::var("ACT")
        .ok()
        .and_then(|act| act.parse::<usize>().ok())
    else {
        return;
    };
    // 32-bit masks must not be fooled by the upper half of an argument.
    let limits = Limits {
        address_space: 1 << 40,
        ..Limits::default()
    };
    enter(&limits).unwrap();
    // No file can be opened, and that is an error.
    let opened = std::fs::File::open("/proc/self/status").map(|_| ());
    assert_eq!(
        opened.map_err(|error| error.raw_os_error()),
        Err(Some(libc::EACCES))
    );
    // A thread that frees much has the C library look at a file.
    let thread = std::thread::spawn(|| {
        let parts: Vec<_> = (0..100).map(|_| vec![1_u8; 100_000]).collect();
        drop(parts);
        5
    });
    assert_eq!(thread.join().unwrap(), 5);
    if let Some(&(_, call, [a, b, c, d])) = ACTS.get(number) {
        // SAFETY: should the call be allowed, it gets null pointers and numbers
        // that the kernel refuses or that change this process alone.
        #[allow(unsafe_code)]
        unsafe {
            libc::syscall(call, a, b, c, d, -1_i64, 0_i64);
        }
    }
    std::process::exit(0);
}

fn status_after(act: usize) -> std::process::ExitStatus {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "act", "--nocapture"])
        .env("ACT", act.to_string())
        .status()
        .unwrap()
}

#[test]
fn each_act_ends_the_worker() {
    for (number, (name, ..)) in ACTS.iter().enumerate() {
        let status = status_after(number);
        assert_eq!(status.signal(), Some(libc::SIGSYS), "{name}: {status}");
    }
}

#[test]
fn without_an_act_it_lives() {
    assert!(status_after(usize::MAX).success());
}
