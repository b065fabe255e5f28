//! What the process that answers a guest may do.

use rustix::process::Resource;
use vgpu_sandbox::{COMMON, Call, Policy, Value};
use xen_dm::abi::{evtchn, privcmd};

/// The accesses of a guest: event channels, device-model operations, and the
/// guest's pages, all by handles that reach this domain alone. seccomp does not
/// see which operation it is; Xen looks at that.
const ACCESSES: &[Call] = &[
    Call::when(libc::SYS_ioctl, 1, Value::Is(privcmd::DM_OP)),
    Call::when(libc::SYS_ioctl, 1, Value::Is(privcmd::MMAP_BATCH_V2)),
    Call::when(libc::SYS_ioctl, 1, Value::Is(evtchn::NOTIFY)),
];

/// The policy. Its stdout and stderr are pipes, and the registers that it keeps
/// are mapped, so that it writes to no file.
pub static POLICY: Policy = Policy {
    calls: &[COMMON, ACCESSES],
    // The C library's malloc opens a file of /proc before it gives memory back.
    absent: &[libc::SYS_openat],
    limits: &[
        (Resource::Fsize, 0),
        (Resource::Core, 0),
        (Resource::Nproc, 0),
        (Resource::Nofile, 64),
        // Of its memory and, with what the C library sets aside for each thread,
        // of addresses.
        (Resource::Data, 32 << 20),
        (Resource::As, 256 << 20),
    ],
};
