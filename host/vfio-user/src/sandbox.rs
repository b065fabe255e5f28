//! What the server may do once clients may connect.

use rustix::process::Resource;
use vgpu_sandbox::Value::Is;
use vgpu_sandbox::{COMMON, Call, Policy, THREADS};

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
    // The guard's end.
    Call::any(libc::SYS_wait4),
];

/// The memory that a guest shares, and the daemon that gets it.
const FEATURES: &[Call] = &[
    // What the guest says of it is read by its descriptor.
    Call::any(libc::SYS_pread64),
    // The list of pieces, which is sealed.
    Call::when(
        libc::SYS_memfd_create,
        1,
        Is(libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING),
    ),
    Call::any(libc::SYS_pwrite64),
    Call::when(libc::SYS_fcntl, 1, Is(libc::F_ADD_SEALS.cast_unsigned())),
    // Doorbells.
    Call::any(libc::SYS_eventfd2),
];

/// The policy. Whoever starts the server by hand has no user to spare for it,
/// and may have sent its log to a file; so it has no limit on either.
pub static POLICY: Policy = Policy {
    calls: &[COMMON, THREADS, CLIENTS],
    ..BASE
};

/// The same for a device with features.
pub static FEATURES_POLICY: Policy = Policy {
    calls: &[COMMON, THREADS, CLIENTS, FEATURES],
    ..BASE
};

const BASE: Policy = Policy {
    calls: &[],
    // The C library's malloc opens a file of /proc before it gives memory back.
    absent: &[libc::SYS_clone3, libc::SYS_openat],
    limits: &[
        (Resource::Core, 0),
        // Of its memory and, with what the C library sets aside for each thread,
        // of addresses.
        (Resource::Data, 64 << 20),
        (Resource::As, 1 << 30),
    ],
};
