//! How an act is tried.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::fs::File;
use std::os::fd::AsRawFd;

use rustix::io::Errno;
use rustix::process::{Pid, getpid, getppid};
use xen_dm::device_model::{DeviceModel, ServerId};
use xen_dm::event_channel::EventChannels;

/// A system call, or one of Xen's operations.
#[derive(Debug)]
pub(crate) enum Attempt {
    Call(i64, &'static [Argument]),
    OnXen(fn(&OnXen) -> Result<(), Errno>),
    /// As any program does: the C library's malloc makes calls of its own then.
    GiveMemoryBack,
}

/// An argument of a system call.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Argument {
    Number(i64),
    Text(&'static CStr),
    /// The address of a page of zeros.
    Zeros,
    /// The descriptor of a file to read and write, with 4096 bytes.
    File,
    /// The number of this process.
    Own,
    /// The number of the process that has started this one.
    Parent,
}

/// What a process has at hand that answers a domain: handles that are restricted
/// to it.
#[derive(Debug)]
pub(crate) struct OnXen {
    pub(crate) model: DeviceModel,
    /// An ioreq server of the domain.
    pub(crate) server: ServerId,
    /// Such a handle too, by which the process addresses another domain.
    pub(crate) astray: DeviceModel,
    pub(crate) channels: EventChannels,
}

/// Bytes of the page of zeros.
const ZEROS: usize = 4096;

/// What arguments refer to, found before the sandbox is closed: nothing else in a
/// process that tries an act may end it.
#[derive(Debug)]
pub(crate) struct AtHand {
    pub(crate) file: File,
    own: i64,
    parent: i64,
}

impl AtHand {
    pub(crate) fn new(file: File) -> Self {
        Self {
            file,
            own: getpid().as_raw_pid().into(),
            parent: getppid().map_or(1, Pid::as_raw_pid).into(),
        }
    }
}

/// Makes a system call.
pub(crate) fn call(number: i64, arguments: &[Argument], at_hand: &AtHand) -> Result<(), Errno> {
    let mut zeros = [0u64; ZEROS / size_of::<u64>()];
    let value = |argument: &Argument| match argument {
        Argument::Number(number) => *number,
        Argument::Text(text) => text.as_ptr() as i64,
        Argument::Zeros => zeros.as_mut_ptr() as i64,
        Argument::File => at_hand.file.as_raw_fd().into(),
        Argument::Own => at_hand.own,
        Argument::Parent => at_hand.parent,
    };
    let mut values = [0; 6];
    for (to, from) in values.iter_mut().zip(arguments.iter().map(value)) {
        *to = from;
    }
    let [a, b, c, d, e, f] = values;
    // SAFETY: of the process's own memory, the calls of the list change the page
    // of zeros alone, which lives until the end of this function; or they make
    // new mappings, at addresses of the kernel's choice. The process tries one
    // act and ends.
    let result = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    if result == -1 {
        let errno = std::io::Error::last_os_error().raw_os_error();
        return Err(Errno::from_raw_os_error(errno.unwrap_or(libc::EIO)));
    }
    Ok(())
}

/// Takes so much memory, in parts, that malloc gives it back to the kernel.
pub(crate) fn give_memory_back() {
    let parts: Vec<_> = (0..64).map(|_| vec![1u8; 64 << 10]).collect();
    drop(std::hint::black_box(parts));
}
