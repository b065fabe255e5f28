//! What a driver does in a sandbox, and what one that was taken over would.

#![allow(unsafe_code)]

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind::PermissionDenied;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use crate::state::Done;

/// `CUDA_ERROR_NOT_PERMITTED`: it could do too little, or too much.
const NOT_PERMITTED: u32 = 800;

/// Tries all of it, where the environment asks for that.
pub(crate) fn all() -> Done {
    match std::env::var("STANDIN_TRIES").as_deref() {
        Ok("1") => {}
        // TIOCSTI, which types for a terminal.
        Ok("ioctl") => return ioctl(0x5412).then_some(()).ok_or(NOT_PERMITTED),
        _ => return Ok(()),
    }
    let denied = |error: std::io::Error| error.kind() == PermissionDenied;
    // A device, a library, what the kernel says of itself, a thread.
    let needed = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")
        .is_ok()
        && fs::read_dir("/usr/lib").is_ok()
        && fs::read_to_string("/proc/devices").is_ok()
        && std::thread::spawn(|| ()).join().is_ok()
        // NV_ESC_RM_CONTROL with an argument of 32 bytes, and UVM_REGISTER_GPU.
        && ioctl(0xc020_462a)
        && ioctl(37);
    // Other files, devices and folders, and any other process.
    let others = ["/etc/passwd", "/dev/zero", "/dev/tty"].map(File::open);
    let refused = others.into_iter().all(|file| file.is_err_and(denied))
        && File::create("/usr/lib/vgpu-standin").is_err()
        && File::create("/tmp/vgpu-standin").is_err_and(denied)
        && fs::read_dir("/").is_err_and(denied)
        && fs::read("/proc/1/environ").is_err()
        && UnixStream::connect("/run/dbus/system_bus_socket").is_err();
    (needed && refused).then_some(()).ok_or(NOT_PERMITTED)
}

/// Whether an ioctl comes to a device, which here knows none.
fn ioctl(number: libc::c_ulong) -> bool {
    let Ok(device) = File::open("/dev/null") else {
        return false;
    };
    // SAFETY: `/dev/null` takes no ioctl, so no argument is looked at.
    let code = unsafe { libc::ioctl(device.as_raw_fd(), number, 0) };
    code == -1 && std::io::Error::last_os_error().raw_os_error() == Some(libc::ENOTTY)
}
