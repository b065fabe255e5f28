//! The one place where an ioctl is made.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::os::fd::AsFd;

use rustix::io::{Errno, retry_on_intr};
use rustix::ioctl::{Ioctl, IoctlOutput, Opcode};

/// Makes an ioctl, again where a signal interrupts it, and returns what it
/// returned.
///
/// # Safety
///
/// `argument` must be what the kernel expects for `request` on this file, with
/// all that it points to valid for as long as the call takes.
pub(crate) unsafe fn ioctl<T>(
    file: impl AsFd,
    request: Opcode,
    argument: &mut T,
) -> Result<IoctlOutput, Errno> {
    retry_on_intr(|| {
        let call = Call {
            request,
            argument: &mut *argument,
        };
        // SAFETY: the caller vouches for the request and its argument.
        unsafe { rustix::ioctl::ioctl(&file, call) }
    })
}

/// A request with its argument, whose answer is the ioctl's own return value: rustix's own types have none for that, and
/// `IOCTL_EVTCHN_BIND_INTERDOMAIN` returns a port so.
struct Call<'a, T> {
    request: Opcode,
    argument: &'a mut T,
}

// SAFETY: it is said to change what its argument points to, which is borrowed for that; nothing is read through the pointer.
unsafe impl<T> Ioctl for Call<'_, T> {
    type Output = IoctlOutput;

    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        self.request
    }

    fn as_ptr(&mut self) -> *mut c_void {
        (&raw mut *self.argument).cast()
    }

    unsafe fn output_from_ptr(
        returned: IoctlOutput,
        _: *mut c_void,
    ) -> rustix::io::Result<IoctlOutput> {
        Ok(returned)
    }
}
