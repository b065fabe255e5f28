//! What the process that answers a guest gives up before it does: other users,
//! new privileges, and all system calls that it has no use for.

use rustix::fs::{Gid, Uid};
use rustix::thread::{set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use seccompiler::{SeccompAction, SeccompFilter, TargetArch};

use crate::error::Error;

/// Becomes a user that owns nothing, for good. To be called while the process
/// has one thread: the later ones inherit it.
pub(crate) fn become_user(id: u32) -> Result<(), Error> {
    let refused = |errno: rustix::io::Errno| Error::Sandbox(errno.to_string());
    let (uid, gid) = (Uid::from_raw(id), Gid::from_raw(id));
    set_thread_groups(&[]).map_err(refused)?;
    set_thread_res_gid(gid, gid, gid).map_err(refused)?;
    set_thread_res_uid(uid, uid, uid).map_err(refused)?;
    set_no_new_privs(true).map_err(refused)
}

/// The system calls of a process that is set up: its accesses (event channel,
/// ioctls, guest pages), its log, its control socket, its memory, its end.
const ALLOWED: &[i64] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_ioctl,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_mprotect,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_poll,
    libc::SYS_ppoll,
    libc::SYS_epoll_wait,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_epoll_ctl,
    libc::SYS_accept4,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_writev,
    libc::SYS_shutdown,
    libc::SYS_close,
    libc::SYS_fcntl,
    libc::SYS_futex,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_sched_yield,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_tgkill,
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_getrandom,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Ends the process, all threads of it, where it makes any other system call.
pub(crate) fn close() -> Result<(), Error> {
    let refused = |error: seccompiler::BackendError| Error::Sandbox(error.to_string());
    let rules = ALLOWED.iter().map(|&call| (call, Vec::new())).collect();
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::KillProcess,
        SeccompAction::Allow,
        TargetArch::x86_64,
    )
    .map_err(refused)?;
    let program: seccompiler::BpfProgram = filter.try_into().map_err(refused)?;
    seccompiler::apply_filter_all_threads(&program)
        .map_err(|error| Error::Sandbox(error.to_string()))
}
