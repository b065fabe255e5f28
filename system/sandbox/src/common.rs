//! System calls that several policies have.

use crate::call::Call;
use crate::call::Value::{Is, OwnProcess, Without};

const PROT_EXEC: u32 = libc::PROT_EXEC.unsigned_abs();

/// What a process needs that is set up: its memory, to wait, what is open
/// already, a control socket, a log, its end.
pub const COMMON: &[Call] = &[
    // Its memory, none of which is code.
    Call::when(libc::SYS_mmap, 2, Without(PROT_EXEC)),
    Call::when(libc::SYS_mprotect, 2, Without(PROT_EXEC)),
    Call::any(libc::SYS_munmap),
    Call::any(libc::SYS_mremap),
    Call::any(libc::SYS_madvise),
    Call::any(libc::SYS_brk),
    // To wait.
    Call::any(libc::SYS_poll),
    Call::any(libc::SYS_ppoll),
    Call::any(libc::SYS_epoll_wait),
    Call::any(libc::SYS_epoll_pwait),
    Call::any(libc::SYS_epoll_pwait2),
    Call::any(libc::SYS_epoll_ctl),
    Call::any(libc::SYS_futex),
    Call::any(libc::SYS_sched_yield),
    Call::any(libc::SYS_nanosleep),
    Call::any(libc::SYS_clock_nanosleep),
    Call::any(libc::SYS_clock_gettime),
    Call::any(libc::SYS_restart_syscall),
    // What is open already.
    Call::any(libc::SYS_read),
    Call::any(libc::SYS_write),
    Call::any(libc::SYS_close),
    Call::when(libc::SYS_fcntl, 1, Is(libc::F_GETFD.unsigned_abs())),
    Call::when(libc::SYS_fcntl, 1, Is(libc::F_DUPFD_CLOEXEC.unsigned_abs())),
    Call::any(libc::SYS_accept4),
    // FIONBIO
    Call::when(libc::SYS_ioctl, 1, Is(0x5421)),
    Call::any(libc::SYS_recvfrom),
    Call::any(libc::SYS_sendto),
    Call::any(libc::SYS_shutdown),
    // Its signals, and its end, with a panic's too.
    Call::any(libc::SYS_rt_sigaction),
    Call::any(libc::SYS_rt_sigprocmask),
    Call::any(libc::SYS_rt_sigreturn),
    Call::any(libc::SYS_sigaltstack),
    Call::any(libc::SYS_getpid),
    Call::any(libc::SYS_gettid),
    Call::when(libc::SYS_tgkill, 0, OwnProcess),
    Call::any(libc::SYS_getrandom),
    Call::any(libc::SYS_exit),
    Call::any(libc::SYS_exit_group),
];

/// How the C library starts a thread (`CLONE_VM` and so on): nothing else, such
/// as a process or a namespace, is made so.
const THREAD: u32 = (libc::CLONE_VM
    | libc::CLONE_FS
    | libc::CLONE_FILES
    | libc::CLONE_SYSVSEM
    | libc::CLONE_SIGHAND
    | libc::CLONE_THREAD
    | libc::CLONE_SETTLS
    | libc::CLONE_PARENT_SETTID
    | libc::CLONE_CHILD_CLEARTID)
    .cast_unsigned();

/// What it takes to start threads. `clone3` has to be absent ([`crate::Policy`]):
/// seccomp does not see what it is to start, and the C library goes back to
/// `clone`.
pub const THREADS: &[Call] = &[
    Call::when(libc::SYS_clone, 0, Is(THREAD)),
    Call::any(libc::SYS_set_robust_list),
    Call::any(libc::SYS_rseq),
    Call::any(libc::SYS_sched_getaffinity),
    Call::when(libc::SYS_prctl, 0, Is(libc::PR_SET_NAME.cast_unsigned())),
];
