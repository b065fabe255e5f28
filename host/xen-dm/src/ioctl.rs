//! The one place where an ioctl is made.
#![allow(unsafe_code)]

use std::os::fd::{AsFd, AsRawFd};

use rustix::io::Errno;

/// Makes an ioctl, again where a signal interrupts it, and returns what it
/// returned.
///
/// # Safety
///
/// `argument` must be what the kernel expects for `request` on this file, with
/// all that it points to valid for as long as the call takes.
pub(crate) unsafe fn ioctl<T>(
    file: impl AsFd,
    request: u32,
    argument: &mut T,
) -> Result<i32, Errno> {
    let file = file.as_fd().as_raw_fd();
    let argument: *mut T = argument;
    loop {
        // SAFETY: `file` is open, as it is borrowed; the caller vouches for
        // the argument.
        let returned = unsafe { libc::ioctl(file, request.into(), argument) };
        if returned >= 0 {
            return Ok(returned);
        }
        match std::io::Error::last_os_error().raw_os_error() {
            Some(libc::EINTR) => {}
            errno => return Err(Errno::from_raw_os_error(errno.unwrap_or(libc::EIO))),
        }
    }
}
