//! What the server may do once clients may connect.

use rustix::process::Resource;
use vgpu_sandbox::Value::Is;
use vgpu_sandbox::{COMMON, Call, Policy};

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

/// Its clients, each of which has a thread.
const CLIENTS: &[Call] = &[
    Call::any(libc::SYS_recvmsg),
    Call::any(libc::SYS_sendmsg),
    // Their files: what they are, and whether they wait.
    Call::any(libc::SYS_fstat),
    Call::when(libc::SYS_fcntl, 1, Is(libc::F_GETFL.cast_unsigned())),
    Call::when(libc::SYS_fcntl, 1, Is(libc::F_SETFL.cast_unsigned())),
    Call::when(libc::SYS_fcntl, 1, Is(libc::F_GET_SEALS.cast_unsigned())),
    Call::when(
        libc::SYS_setsockopt,
        2,
        Is(libc::SO_RCVTIMEO.cast_unsigned()),
    ),
    Call::when(
        libc::SYS_setsockopt,
        2,
        Is(libc::SO_SNDTIMEO.cast_unsigned()),
    ),
    // A thread's start.
    Call::when(libc::SYS_clone, 0, Is(THREAD)),
    Call::any(libc::SYS_set_robust_list),
    Call::any(libc::SYS_rseq),
    Call::any(libc::SYS_sched_getaffinity),
    Call::when(libc::SYS_prctl, 0, Is(libc::PR_SET_NAME.cast_unsigned())),
    // The guard's end.
    Call::any(libc::SYS_wait4),
];

/// The policy. Whoever starts the server by hand has no user to spare for it,
/// and may have sent its log to a file; so it has no limit on either.
pub static POLICY: Policy = Policy {
    calls: &[COMMON, CLIENTS],
    // seccomp does not see what clone3 is to start; the C library goes back to
    // clone. Its malloc opens a file of /proc before it gives memory back.
    absent: &[libc::SYS_clone3, libc::SYS_openat],
    limits: &[
        (Resource::Core, 0),
        // Of its memory and, with what the C library sets aside for each thread,
        // of addresses.
        (Resource::Data, 64 << 20),
        (Resource::As, 1 << 30),
    ],
};
