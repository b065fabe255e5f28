//! What a worker may do whose engine has NVIDIA's driver below it.
//!
//! The driver opens its device nodes anew for each mapping, and asks them by
//! ioctl; a filter sees the number of an ioctl, not of which file. So files are
//! denied by Landlock before the library is loaded, as its threads inherit that,
//! and the filter follows when the device is open and has been tried.
//!
//! The numbers are those of NVIDIA's open kernel modules (`nv-ioctl-numbers.h`,
//! `nv_escape.h`, `uvm_ioctl.h`, `uvm_linux_ioctl.h`), and are as many as a
//! session needs that shares nothing: gVisor's nvproxy lets the same through.
//! No GPU has been at hand to try the list.

use std::path::Path;

use rustix::process::Resource;
pub use vgpu_sandbox::FilesKept;
use vgpu_sandbox::Value::{Bits, Is};
use vgpu_sandbox::{COMMON, Call, Error, Policy, THREADS, keep_files};

use crate::policy::{REGIONS, SESSION};

/// What the driver reads: libraries, and what it learns of the machine.
const READABLE: &[&str] = &[
    "/usr",
    "/lib",
    "/lib64",
    "/etc/ld.so.cache",
    "/proc",
    "/sys",
    "/run/opengl-driver",
];

/// What the driver uses.
const DEVICES: &[&str] = &[
    "/dev/null",
    "/dev/nvidiactl",
    "/dev/nvidia-uvm",
    "/dev/nvidia-caps",
    "/dev/nvidia0",
    "/dev/nvidia1",
    "/dev/nvidia2",
    "/dev/nvidia3",
    "/dev/nvidia4",
    "/dev/nvidia5",
    "/dev/nvidia6",
    "/dev/nvidia7",
];

/// Denies all files but the driver's, and `library`, for good. To be called
/// while the process has one thread.
///
/// # Errors
/// The kernel has no Landlock.
pub fn keep_driver_files(library: &Path) -> Result<FilesKept, Error> {
    let readable: Vec<_> = READABLE.iter().map(Path::new).chain([library]).collect();
    let devices: Vec<_> = DEVICES.iter().map(Path::new).collect();
    keep_files(&readable, &devices)
}

/// An ioctl of `/dev/nvidiactl` and `/dev/nvidia0`: type `F`, and a number. The
/// size of its argument differs with the driver's version.
const fn escape(number: u32) -> Call {
    Call::when(libc::SYS_ioctl, 1, Bits(0xffff, 0x4600 | number))
}

/// An ioctl of `/dev/nvidia-uvm`, which is its number alone.
const fn uvm(number: u32) -> Call {
    Call::when(libc::SYS_ioctl, 1, Is(number))
}

/// What the driver asks its devices for.
const IOCTLS: &[Call] = &[
    // Cards, versions, descriptors, events.
    escape(200),
    escape(201),
    escape(206),
    escape(207),
    escape(210),
    escape(212),
    escape(214),
    escape(215),
    escape(218),
    // Objects of the resource manager: allocate, free, control, duplicate,
    // share; channels, memory and its mappings.
    escape(0x27),
    escape(0x29),
    escape(0x2a),
    escape(0x2b),
    escape(0x34),
    escape(0x35),
    escape(0x41),
    escape(0x4a),
    escape(0x4e),
    escape(0x4f),
    escape(0x54),
    escape(0x57),
    escape(0x58),
    escape(0x5e),
    // UVM_INITIALIZE, UVM_DEINITIALIZE, UVM_MM_INITIALIZE.
    uvm(0x3000_0001),
    uvm(0x3000_0002),
    uvm(75),
    // Range groups, address spaces, channels.
    uvm(23),
    uvm(24),
    uvm(25),
    uvm(26),
    uvm(27),
    uvm(28),
    uvm(31),
    // External allocations, ranges, GPUs, where pages are preferred.
    uvm(33),
    uvm(34),
    uvm(37),
    uvm(38),
    uvm(39),
    uvm(42),
    uvm(43),
    uvm(45),
    uvm(47),
    uvm(65),
    uvm(66),
    uvm(68),
    uvm(72),
    uvm(73),
];

/// What the driver asks the system for.
const SYSTEM: &[Call] = &[
    // Files, as far as Landlock lets it.
    Call::any(libc::SYS_openat),
    Call::any(libc::SYS_newfstatat),
    Call::any(libc::SYS_statx),
    Call::any(libc::SYS_access),
    Call::any(libc::SYS_readlink),
    Call::any(libc::SYS_lseek),
    Call::any(libc::SYS_getdents64),
    Call::when(libc::SYS_fcntl, 1, Is(libc::F_SETFD.cast_unsigned())),
    Call::when(libc::SYS_fcntl, 1, Is(libc::F_GETFL.cast_unsigned())),
    Call::when(libc::SYS_fcntl, 1, Is(libc::F_SETFL.cast_unsigned())),
    // How its threads wait for the device, and for each other.
    Call::any(libc::SYS_eventfd2),
    Call::any(libc::SYS_pipe2),
    Call::any(libc::SYS_mlock),
    Call::any(libc::SYS_munlock),
    Call::any(libc::SYS_membarrier),
    // Where it runs.
    Call::any(libc::SYS_getuid),
    Call::any(libc::SYS_geteuid),
    Call::any(libc::SYS_getgid),
    Call::any(libc::SYS_getegid),
    Call::any(libc::SYS_uname),
    Call::any(libc::SYS_sysinfo),
    Call::any(libc::SYS_getcpu),
    Call::any(libc::SYS_clock_getres),
    Call::any(libc::SYS_gettimeofday),
];

/// The policy of a worker with a driver. Its memory has no limit by addresses:
/// the driver sets aside as many as the device and the machine have bytes.
pub static DRIVER_POLICY: Policy = Policy {
    calls: &[COMMON, THREADS, SESSION, REGIONS, SYSTEM, IOCTLS],
    absent: &[
        libc::SYS_clone3,
        libc::SYS_socket,
        libc::SYS_get_mempolicy,
        libc::SYS_set_mempolicy,
        libc::SYS_mbind,
    ],
    limits: &[
        (Resource::Core, 0),
        (Resource::Fsize, 1 << 30),
        (Resource::Nofile, 4096),
    ],
};
