//! The list.
//!
//! Without a sandbox, an act changes nothing that outlives its process.

use xen_dm::abi::{evtchn, privcmd};
use xen_dm::device_model::Range;

use crate::attempt::Argument::{File, Number, Own, Parent, Text, Zeros};
use crate::attempt::{Argument, Attempt, OnXen};
use crate::{Act, Outcome};

/// An act that ends each process.
const fn ended(what: &'static str, number: i64, arguments: &'static [Argument]) -> Act {
    all(what, Outcome::Ended, number, arguments)
}

/// An act of which the same comes in each process.
const fn all(
    what: &'static str,
    outcome: Outcome,
    number: i64,
    arguments: &'static [Argument],
) -> Act {
    Act {
        what,
        attempt: Attempt::Call(number, arguments),
        xen: outcome,
        vfio_user: outcome,
        with_features: outcome,
        worker: outcome,
        of_machine: outcome,
    }
}

/// An act that ends the device's processes, and may be done by a CUDA worker, or
/// comes to something else there.
const fn but_in_a_worker(act: Act, worker: Outcome) -> Act {
    Act {
        worker,
        of_machine: worker,
        ..act
    }
}

/// An act that only the worker of a program on this machine may do.
const fn but_for_a_program(act: Act) -> Act {
    Act {
        worker: Outcome::Works,
        ..act
    }
}

/// An act that may be done where a device has features, whose guest names memory.
const fn but_with_features(act: Act, with_features: Outcome) -> Act {
    Act {
        with_features,
        ..act
    }
}

/// An act of the process that answers a guest of Xen.
const fn on_xen(
    what: &'static str,
    outcome: Outcome,
    attempt: fn(&OnXen) -> Result<(), rustix::io::Errno>,
) -> Act {
    Act {
        what,
        attempt: Attempt::OnXen(attempt),
        xen: outcome,
        vfio_user: Outcome::Nothing,
        with_features: Outcome::Nothing,
        worker: Outcome::Nothing,
        of_machine: Outcome::Nothing,
    }
}

const HERE: Argument = Number(libc::AT_FDCWD as i64);
const NONE: Argument = Number(-1);
const ANONYMOUS: Argument = Number((libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as i64);
const SHARED: Argument = Number((libc::MAP_SHARED | libc::MAP_ANONYMOUS) as i64);
const READ_WRITE: i64 = (libc::PROT_READ | libc::PROT_WRITE) as i64;
const EXECUTE: i64 = libc::PROT_EXEC as i64;
const PAGE: Argument = Number(4096);
/// More than the device's processes may have, and no more than they would get.
const TOO_MUCH: Argument = Number(2 << 30);

/// More addresses than any of them may have, which it would get.
const FAR_TOO_MUCH: Argument = Number(128 << 30);
const NOT_RESERVED: Argument =
    Number((libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE) as i64);

const SEALABLE: Argument = Number((libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING) as i64);

/// Linux refuses it: a thread shares its process's user namespace.
const THREAD_ELSEWHERE: i64 =
    (libc::CLONE_VM | libc::CLONE_SIGHAND | libc::CLONE_THREAD | libc::CLONE_NEWUSER) as i64;

const PTRACE_SEIZE: i64 = 0x4206;
const PIDFD_GETFD: i64 = 438;
/// `_IOC(_IOC_NONE, 'P', 0, …)` of Linux `xen/privcmd.h`.
const PRIVCMD_HYPERCALL: i64 = 0x0030_5000;
/// `_IOC(_IOC_NONE, 'P', 2, …)`.
const PRIVCMD_MMAP: i64 = 0x0010_5002;
/// `_IOC(_IOC_NONE, 'E', 0, …)` of Linux `xen/evtchn.h`.
const EVTCHN_BIND_VIRQ: i64 = 0x0004_4500;
/// `_IOC(_IOC_NONE, 'G', 0, …)` of Linux `xen/gntdev.h`.
const GNTDEV_MAP: i64 = 0x0018_4700;
/// `_IOC(_IOC_NONE, 'G', 1, …)`.
const GNTDEV_UNMAP: i64 = 0x0010_4701;
/// `_IOC(_IOC_NONE, 'E', 3, …)` of Linux `xen/evtchn.h`.
const EVTCHN_UNBIND: i64 = 0x0004_4503;
/// The bit of a system call's number in the x32 ABI.
const X32: i64 = 0x4000_0000;

/// What is tried.
#[rustfmt::skip] // A table.
pub const ACTS: &[Act] = &[
    // Files.
    all("open a file", Outcome::Refused, libc::SYS_openat, &[HERE, Text(c"/etc/passwd"), Number(0)]),
    ended("open a file by the older call", libc::SYS_open, &[Text(c"/etc/passwd"), Number(0)]),
    ended("open a file by the newest call", libc::SYS_openat2, &[HERE, Text(c"/etc/passwd"), Zeros, Number(24)]),
    ended("open a file by its handle", libc::SYS_open_by_handle_at, &[HERE, Zeros, Number(0)]),
    all("read /proc", Outcome::Refused, libc::SYS_openat, &[HERE, Text(c"/proc/self/environ"), Number(0)]),
    ended("see where a descriptor leads", libc::SYS_readlinkat, &[HERE, Text(c"/proc/self/fd/0"), Zeros, PAGE]),
    ended("list a folder", libc::SYS_getdents64, &[File, Zeros, PAGE]),
    ended("look for a file", libc::SYS_newfstatat, &[HERE, Text(c"/etc"), Zeros, Number(0)]),
    ended("look at a file by another call", libc::SYS_statx, &[HERE, Text(c"/etc"), Number(0), Number(0), Zeros]),
    ended("ask for access", libc::SYS_faccessat, &[HERE, Text(c"/etc/passwd"), Number(0)]),
    ended("make a folder", libc::SYS_mkdirat, &[HERE, Text(c"/nonexistent/x"), Number(0)]),
    ended("make a device node", libc::SYS_mknodat, &[HERE, Text(c"/nonexistent/x"), Number(0), Number(0)]),
    ended("link a file", libc::SYS_linkat, &[HERE, Text(c"/nonexistent/x"), HERE, Text(c"/nonexistent/y"), Number(0)]),
    ended("rename a file", libc::SYS_renameat2, &[HERE, Text(c"/nonexistent/x"), HERE, Text(c"/nonexistent/y"), Number(0)]),
    ended("remove a file", libc::SYS_unlinkat, &[HERE, Text(c"/nonexistent/x"), Number(0)]),
    ended("change a file's mode", libc::SYS_fchmodat, &[HERE, Text(c"/nonexistent/x"), Number(0)]),
    ended("change a file's owner", libc::SYS_fchown, &[File, Number(0), Number(0)]),
    but_for_a_program(ended("cut an open file", libc::SYS_ftruncate, &[File, PAGE])),
    ended("take room in an open file", libc::SYS_fallocate, &[File, Number(0), Number(0), PAGE]),
    but_with_features(ended("write in the middle of an open file", libc::SYS_pwrite64, &[File, Zeros, PAGE, Number(0)]), Outcome::Works),
    but_with_features(but_in_a_worker(ended("read in the middle of an open file", libc::SYS_pread64, &[File, Zeros, PAGE, Number(0)]), Outcome::Works), Outcome::Works),
    // The server that is started by hand has a log that may be a file.
    Act {
        what: "write to an open file",
        attempt: Attempt::Call(libc::SYS_write, &[File, Zeros, PAGE]),
        xen: Outcome::OverLimit,
        vfio_user: Outcome::Works,
        with_features: Outcome::Works,
        worker: Outcome::Works,
        of_machine: Outcome::Works,
    },
    // Out of its place.
    ended("leave the root folder", libc::SYS_chroot, &[Text(c"/")]),
    ended("go to another folder", libc::SYS_chdir, &[Text(c"/")]),
    ended("go to an open folder", libc::SYS_fchdir, &[File]),
    ended("mount a file system", libc::SYS_mount, &[Text(c"x"), Text(c"/nonexistent"), Text(c"tmpfs"), Number(0), Number(0)]),
    ended("unmount a file system", libc::SYS_umount2, &[Text(c"/nonexistent"), Number(0)]),
    ended("change the root file system", libc::SYS_pivot_root, &[Text(c"/nonexistent"), Text(c"/nonexistent")]),
    ended("make a user namespace", libc::SYS_unshare, &[Number(libc::CLONE_NEWUSER as i64)]),
    ended("join a namespace", libc::SYS_setns, &[File, Number(0)]),
    // Programs and processes.
    ended("run a program", libc::SYS_execve, &[Text(c"/nonexistent/x"), Number(0), Number(0)]),
    ended("run an open file", libc::SYS_execveat, &[File, Text(c""), Number(0), Number(0), Number(libc::AT_EMPTY_PATH as i64)]),
    ended("make a file in memory, to run it", libc::SYS_memfd_create, &[Text(c"x"), Number(0)]),
    but_with_features(but_for_a_program(ended("make a file in memory, to pass it on", libc::SYS_memfd_create, &[Text(c"x"), SEALABLE])), Outcome::Works),
    but_with_features(ended("make an event", libc::SYS_eventfd2, &[Number(0), Number((libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) as i64)]), Outcome::Works),
    ended("fork", libc::SYS_fork, &[]),
    ended("fork by clone", libc::SYS_clone, &[Number(libc::SIGCHLD as i64), Number(0), Number(0), Number(0), Number(0)]),
    ended("clone into a user namespace", libc::SYS_clone, &[Number((libc::CLONE_NEWUSER | libc::SIGCHLD) as i64), Number(0), Number(0), Number(0), Number(0)]),
    ended("start a thread in a user namespace", libc::SYS_clone, &[Number(THREAD_ELSEWHERE), Number(0), Number(0), Number(0), Number(0)]),
    Act {
        what: "clone by the newer call, whose flags no filter sees",
        attempt: Attempt::Call(libc::SYS_clone3, &[Zeros, Number(64)]),
        xen: Outcome::Ended,
        vfio_user: Outcome::Refused,
        with_features: Outcome::Refused,
        worker: Outcome::Refused,
        of_machine: Outcome::Refused,
    },
    ended("trace another process", libc::SYS_ptrace, &[Number(PTRACE_SEIZE), Parent, Number(0), Number(0)]),
    ended("read another process's memory", libc::SYS_process_vm_readv, &[Parent, Zeros, Number(1), Zeros, Number(1), Number(0)]),
    ended("write another process's memory", libc::SYS_process_vm_writev, &[Parent, Zeros, Number(1), Zeros, Number(1), Number(0)]),
    ended("hold another process", libc::SYS_pidfd_open, &[Parent, Number(0)]),
    ended("take another process's descriptor", PIDFD_GETFD, &[File, Number(0), Number(0)]),
    ended("signal another process", libc::SYS_kill, &[Parent, Number(0)]),
    ended("signal another process's thread", libc::SYS_tgkill, &[Parent, Parent, Number(0)]),
    ended("signal any thread", libc::SYS_tkill, &[Parent, Number(0)]),
    // Rights and limits.
    ended("become root", libc::SYS_setresuid, &[Number(0), Number(0), Number(0)]),
    ended("become root by the older call", libc::SYS_setuid, &[Number(0)]),
    ended("join root's group", libc::SYS_setresgid, &[Number(0), Number(0), Number(0)]),
    ended("join groups", libc::SYS_setgroups, &[Number(0), Number(0)]),
    ended("take capabilities", libc::SYS_capset, &[Zeros, Zeros]),
    ended("change a limit", libc::SYS_prlimit64, &[Number(0), Number(libc::RLIMIT_FSIZE as i64), Zeros, Number(0)]),
    ended("change another process's limit", libc::SYS_prlimit64, &[Parent, Number(libc::RLIMIT_NICE as i64), Number(0), Zeros]),
    ended("become traceable", libc::SYS_prctl, &[Number(libc::PR_SET_DUMPABLE as i64), Number(1), Number(0), Number(0), Number(0)]),
    ended("change the filter", libc::SYS_seccomp, &[Number(libc::SECCOMP_SET_MODE_FILTER as i64), Number(0), Zeros]),
    ended("run another system's programs", libc::SYS_personality, &[Number(0xffff_ffff)]),
    ended("change a thread's scheduling", libc::SYS_sched_setscheduler, &[Number(0), Number(libc::SCHED_OTHER as i64), Zeros]),
    ended("change a process's priority", libc::SYS_setpriority, &[Number(0), Number(0), Number(0)]),
    ended("choose processors", libc::SYS_sched_setaffinity, &[Number(0), Number(8), Zeros]),
    ended("start a session", libc::SYS_setsid, &[]),
    // Memory.
    ended("map memory to write and execute", libc::SYS_mmap, &[Number(0), PAGE, Number(READ_WRITE | EXECUTE), ANONYMOUS, NONE, Number(0)]),
    ended("map a file to execute", libc::SYS_mmap, &[Number(0), PAGE, Number(EXECUTE), Number(libc::MAP_PRIVATE as i64), File, Number(0)]),
    ended("make memory executable", libc::SYS_mprotect, &[Number(0), Number(0), Number(EXECUTE)]),
    ended("make memory executable by another call", libc::SYS_pkey_mprotect, &[Number(0), Number(0), Number(EXECUTE), NONE]),
    ended("share memory", libc::SYS_shmget, &[Number(0), PAGE, Number(0)]),
    ended("lock all memory", libc::SYS_mlockall, &[Number(0)]),
    ended("handle page faults", libc::SYS_userfaultfd, &[Number(0)]),
    but_in_a_worker(all("take too much memory", Outcome::Refused, libc::SYS_mmap, &[Number(0), TOO_MUCH, Number(READ_WRITE), ANONYMOUS, NONE, Number(0)]), Outcome::Works),
    but_in_a_worker(all("take too much shared memory", Outcome::Refused, libc::SYS_mmap, &[Number(0), TOO_MUCH, Number(READ_WRITE), SHARED, NONE, Number(0)]), Outcome::Works),
    all("take far too much memory", Outcome::Refused, libc::SYS_mmap, &[Number(0), FAR_TOO_MUCH, Number(READ_WRITE), NOT_RESERVED, NONE, Number(0)]),
    all("take a page of memory", Outcome::Works, libc::SYS_mmap, &[Number(0), PAGE, Number(READ_WRITE), ANONYMOUS, NONE, Number(0)]),
    Act {
        what: "give memory back",
        attempt: Attempt::GiveMemoryBack,
        xen: Outcome::Works,
        vfio_user: Outcome::Works,
        with_features: Outcome::Works,
        worker: Outcome::Works,
        of_machine: Outcome::Works,
    },
    // Others' workers, and what holds them.
    all("look into another process", Outcome::Refused, libc::SYS_openat, &[HERE, Text(c"/proc/1/status"), Number(0)]),
    ended("read another process's memory by its file", libc::SYS_open, &[Text(c"/proc/1/mem"), Number(0)]),
    ended("open what another process has open", libc::SYS_open, &[Text(c"/proc/1/fd/0"), Number(0)]),
    ended("leave its control group", libc::SYS_open, &[Text(c"/sys/fs/cgroup/cgroup.procs"), Number(libc::O_WRONLY as i64)]),
    ended("make a control group", libc::SYS_mkdir, &[Text(c"/sys/fs/cgroup/nonexistent/x"), Number(0)]),
    ended("advise another process's memory", libc::SYS_process_madvise, &[NONE, Zeros, Number(0), Number(0), Number(0)]),
    ended("compare with another process", libc::SYS_kcmp, &[Own, Parent, Number(0), Number(0), Number(0)]),
    ended("signal by a process's handle", libc::SYS_pidfd_send_signal, &[NONE, Number(0), Number(0), Number(0)]),
    // A server may wait for its guard; another process is no child of its own.
    Act {
        vfio_user: Outcome::Refused,
        with_features: Outcome::Refused,
        ..ended("wait for another process", libc::SYS_wait4, &[Parent, Number(0), Number(libc::WNOHANG as i64), Number(0)])
    },
    ended("move another process's memory", libc::SYS_migrate_pages, &[Parent, Number(0), Number(0), Number(0)]),
    ended("take a message queue", libc::SYS_msgget, &[Number(0), Number(0)]),
    ended("take semaphores", libc::SYS_semget, &[Number(0), Number(1), Number(0)]),
    ended("take memory that the kernel cannot see", libc::SYS_memfd_secret, &[NONE]),
    ended("open a file system", libc::SYS_fsopen, &[Text(c"nonexistent"), Number(0)]),
    ended("take a part of the file tree", libc::SYS_open_tree, &[HERE, Text(c"/nonexistent"), Number(0)]),
    // The kernel.
    ended("load a kernel module", libc::SYS_finit_module, &[File, Text(c""), Number(0)]),
    ended("load a kernel", libc::SYS_kexec_load, &[Number(0), Number(0), Number(0), NONE]),
    ended("restart the host", libc::SYS_reboot, &[Number(0), Number(0), Number(0), Number(0)]),
    ended("use eBPF", libc::SYS_bpf, &[NONE, Zeros, Number(0)]),
    ended("use io_uring", libc::SYS_io_uring_setup, &[Number(0), Zeros]),
    ended("use performance counters", libc::SYS_perf_event_open, &[Zeros, Number(0), NONE, NONE, Number(0)]),
    ended("use the kernel's keys", libc::SYS_keyctl, &[Number(0), Number(0), Number(0)]),
    ended("add a key", libc::SYS_add_key, &[Number(0), Number(0), Number(0), Number(0), Number(0)]),
    ended("read the kernel's log", libc::SYS_syslog, &[Number(10), Number(0), Number(0)]),
    ended("use I/O ports", libc::SYS_iopl, &[Number(0)]),
    ended("set the clock", libc::SYS_clock_settime, &[NONE, Zeros]),
    ended("set the host's name", libc::SYS_sethostname, &[Zeros, NONE]),
    ended("swap to a file", libc::SYS_swapon, &[Text(c"/nonexistent"), Number(0)]),
    ended("watch files", libc::SYS_inotify_init1, &[Number(0)]),
    ended("watch all files", libc::SYS_fanotify_init, &[Number(0), Number(0)]),
    ended("use the x32 calls", X32 | libc::SYS_read, &[File, Zeros, Number(1)]),
    ended("use a call that does not exist", 10_000, &[]),
    // Others.
    ended("make a network socket", libc::SYS_socket, &[Number(libc::AF_INET as i64), Number(libc::SOCK_STREAM as i64), Number(0)]),
    ended("make a local socket", libc::SYS_socket, &[Number(libc::AF_UNIX as i64), Number(libc::SOCK_STREAM as i64), Number(0)]),
    ended("make a netlink socket", libc::SYS_socket, &[Number(libc::AF_NETLINK as i64), Number(libc::SOCK_RAW as i64), Number(0)]),
    ended("connect a socket", libc::SYS_connect, &[File, Zeros, Number(16)]),
    ended("take an address", libc::SYS_bind, &[File, Zeros, Number(16)]),
    ended("type on a terminal (TIOCSTI)", libc::SYS_ioctl, &[File, Number(libc::TIOCSTI as i64), Zeros]),
    ended("paste on a console (TIOCLINUX)", libc::SYS_ioctl, &[File, Number(libc::TIOCLINUX as i64), Zeros]),
    ended("change a terminal", libc::SYS_ioctl, &[File, Number(libc::TCSETS as i64), Zeros]),
    ended("have signals sent for a file", libc::SYS_fcntl, &[File, Number(libc::F_SETOWN as i64), Own]),
    ended("hold up who opens a file", libc::SYS_fcntl, &[File, Number(libc::F_SETLEASE as i64), Number(libc::F_WRLCK as i64)]),
    // Xen. By its number alone: what is open does not matter.
    ended("make any hypercall", libc::SYS_ioctl, &[File, Number(PRIVCMD_HYPERCALL), Zeros]),
    ended("map another domain's memory by the older call", libc::SYS_ioctl, &[File, Number(PRIVCMD_MMAP), Zeros]),
    ended("map another ioreq server's page", libc::SYS_ioctl, &[File, Number(privcmd::MMAP_RESOURCE as i64), Zeros]),
    ended("restrict a handle anew", libc::SYS_ioctl, &[File, Number(privcmd::RESTRICT as i64), Zeros]),
    ended("bind an event channel", libc::SYS_ioctl, &[File, Number(evtchn::BIND_INTERDOMAIN as i64), Zeros]),
    ended("bind a virtual interrupt", libc::SYS_ioctl, &[File, Number(EVTCHN_BIND_VIRQ), Zeros]),
    ended("give a grant back", libc::SYS_ioctl, &[File, Number(GNTDEV_UNMAP), Zeros]),
    ended("unbind an event channel", libc::SYS_ioctl, &[File, Number(EVTCHN_UNBIND), Zeros]),
    ended("map a grant", libc::SYS_ioctl, &[File, Number(GNTDEV_MAP), Zeros]),
    on_xen(
        "be the device model of another domain",
        Outcome::Refused,
        |xen| xen.astray.create_server().map(drop),
    ),
    on_xen("map another domain's memory", Outcome::Refused, |xen| {
        xen.astray.map_guest_page(0x100).map(drop)
    }),
    on_xen("map its own domain's memory", Outcome::Works, |xen| {
        xen.model.map_guest_page(0x100).map(drop)
    }),
    on_xen("move its own domain's accesses", Outcome::Works, |xen| {
        let range = Range::Memory {
            first: 0xf800_0000,
            last: 0xf800_0fff,
        };
        xen.model.map(xen.server, range, true)
    }),
    on_xen(
        "wake its own domain by another port",
        Outcome::Refused,
        |xen| xen.channels.notify(xen_dm::event_channel::Port(0x3ff)),
    ),
];
