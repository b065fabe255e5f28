//! What a worker may do once it reads what its program wrote.

use rustix::process::Resource;
use vgpu_sandbox::Value::Is;
use vgpu_sandbox::{COMMON, Call, Policy, THREADS};

/// The flags of the memory that it makes: none that lets it become a program.
const MEMORY: u32 = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;

/// Its session.
pub(crate) const SESSION: &[Call] = &[
    Call::any(libc::SYS_recvmsg),
    Call::any(libc::SYS_sendmsg),
    // The regions that it makes and seals.
    Call::when(libc::SYS_memfd_create, 1, Is(MEMORY)),
    Call::any(libc::SYS_ftruncate),
    Call::any(libc::SYS_fstat),
    Call::when(libc::SYS_fcntl, 1, Is(libc::F_ADD_SEALS.cast_unsigned())),
    Call::when(libc::SYS_fcntl, 1, Is(libc::F_GET_SEALS.cast_unsigned())),
    // The list of a region's pieces, which others made and sealed.
    Call::any(libc::SYS_pread64),
    // A thread that ends the process while another one does.
    Call::any(libc::SYS_pause),
];

/// The policy of a worker whose engine needs no driver.
pub static POLICY: Policy = Policy {
    calls: &[COMMON, THREADS, SESSION],
    // The C library's malloc opens a file of /proc before it gives memory back.
    absent: &[libc::SYS_clone3, libc::SYS_openat],
    limits: &[
        (Resource::Core, 0),
        // A device of 4 GiB, modules, and what is on its way; of addresses, with
        // what the C library sets aside for each thread.
        (Resource::Data, 8 << 30),
        (Resource::As, 64 << 30),
        (Resource::Fsize, 1 << 30),
        (Resource::Nofile, 64),
    ],
};
