//! What a worker may do once it reads what its program wrote.

use rustix::process::Resource;
use vgpu_sandbox::Value::Is;
use vgpu_sandbox::{COMMON, Call, Policy, THREADS};

/// Its session.
pub(crate) const SESSION: &[Call] = &[
    Call::any(libc::SYS_recvmsg),
    Call::any(libc::SYS_sendmsg),
    Call::any(libc::SYS_fstat),
    Call::when(libc::SYS_fcntl, 1, Is(libc::F_GET_SEALS.cast_unsigned())),
    // The list of a region's pieces, which others made and sealed.
    Call::any(libc::SYS_pread64),
    // A thread that ends the process while another one does.
    Call::any(libc::SYS_pause),
];

/// The flags of the memory that it makes: none that lets it become a program.
const MEMORY: u32 = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;

/// The regions that it makes and seals, where its program is on this machine.
pub(crate) const REGIONS: &[Call] = &[
    Call::when(libc::SYS_memfd_create, 1, Is(MEMORY)),
    Call::any(libc::SYS_ftruncate),
    Call::when(libc::SYS_fcntl, 1, Is(libc::F_ADD_SEALS.cast_unsigned())),
];

/// The C library's malloc opens a file of /proc before it gives memory back.
const ABSENT: &[i64] = &[libc::SYS_clone3, libc::SYS_openat];

const LIMITS: &[(Resource, u64)] = &[
    (Resource::Core, 0),
    // A device of 4 GiB, modules, and what is on its way; of addresses, with
    // what the C library sets aside for each thread.
    (Resource::Data, 8 << 30),
    (Resource::As, 64 << 30),
    (Resource::Fsize, 1 << 30),
    (Resource::Nofile, 64),
];

/// The policy of a program's worker whose engine needs no driver.
pub static POLICY: Policy = Policy {
    calls: &[COMMON, THREADS, SESSION, REGIONS],
    absent: ABSENT,
    limits: LIMITS,
};

/// The same of a virtual machine's: it makes no memory to share, and cuts none off that is the guest's.
pub static CHANNEL_POLICY: Policy = Policy {
    calls: &[COMMON, THREADS, SESSION],
    absent: ABSENT,
    limits: LIMITS,
};
