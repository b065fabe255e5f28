//! Event channels, by `/dev/xen/evtchn`.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, open};
use rustix::io::retry_on_intr;

use crate::abi::{BindInterdomain, evtchn};
use crate::ioctl::ioctl;
use crate::{DomainId, Errno};

const PATH: &str = "/dev/xen/evtchn";

/// Event channels of this process. They end with it.
#[derive(Debug)]
pub struct EventChannels {
    file: OwnedFd,
}

/// A port of this process's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Port(pub u32);

impl EventChannels {
    /// A handle without channels.
    ///
    /// # Errors
    ///
    /// This is no dom0, or the process may not open `/dev/xen/evtchn`.
    pub fn open() -> io::Result<Self> {
        let file = open(PATH, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { file })
    }

    /// Gives up, for good, all that this handle can do to other domains
    /// (`IOCTL_EVTCHN_RESTRICT_DOMID`).
    ///
    /// # Errors
    ///
    /// `EACCES` where it is restricted already, `ENOSYS` where the kernel is
    /// older than 4.11.
    pub fn restrict(&self, domain: DomainId) -> Result<(), Errno> {
        let mut domain = domain.0;
        // SAFETY: the request takes a structure of one domid_t.
        unsafe { ioctl(&self.file, evtchn::RESTRICT_DOMID, &mut domain) }?;
        Ok(())
    }

    /// Connects to a port of `domain` (`IOCTL_EVTCHN_BIND_INTERDOMAIN`, by
    /// which Linux makes an `EVTCHNOP_bind_interdomain`). An event is pending at
    /// once, as one may have been missed.
    ///
    /// # Errors
    ///
    /// `EINVAL` where the domain has no such port for this one, or another has
    /// bound it; `ESRCH` where there is no such domain, `EACCES` where the
    /// handle is restricted to another.
    pub fn bind(&self, domain: DomainId, port: u32) -> Result<Port, Errno> {
        let mut bind = BindInterdomain {
            domain: domain.0.into(),
            port,
        };
        // SAFETY: the structure is the request's own.
        let port = unsafe { ioctl(&self.file, evtchn::BIND_INTERDOMAIN, &mut bind) }?;
        Ok(Port(port.unsigned_abs()))
    }

    /// Sends an event (`IOCTL_EVTCHN_NOTIFY`, `EVTCHNOP_send`).
    ///
    /// # Errors
    ///
    /// `ENOTCONN` where the port is not this handle's.
    pub fn notify(&self, port: Port) -> Result<(), Errno> {
        let mut port = port.0;
        // SAFETY: the request takes a structure of one port, which is 32 bits.
        unsafe { ioctl(&self.file, evtchn::NOTIFY, &mut port) }?;
        Ok(())
    }

    /// Waits for events, and returns the ports that have one, as many as there
    /// is room for, by a `read` of the device (Linux
    /// `drivers/xen/evtchn.c`). They are masked until
    /// [`unmask`](Self::unmask).
    ///
    /// # Errors
    ///
    /// `EFBIG` where the kernel's ring of events has overflowed. It has room for
    /// each port, which is masked while it is in there.
    pub fn wait<'a>(&self, ports: &'a mut [u32]) -> Result<&'a [u32], Errno> {
        use zerocopy::IntoBytes;
        let size = retry_on_intr(|| rustix::io::read(&self.file, ports.as_mut_bytes()))?;
        let count = size.checked_div(size_of::<u32>());
        Ok(count
            .and_then(|count| ports.get(..count))
            .unwrap_or_default())
    }

    /// Lets these ports have events again, 1024 of them at most, by a `write`
    /// to the device. Those that are not this handle's are passed over.
    ///
    /// # Errors
    ///
    /// `ENOMEM` where the kernel has no memory for it.
    pub fn unmask(&self, ports: &[u32]) -> Result<(), Errno> {
        use zerocopy::IntoBytes;
        retry_on_intr(|| rustix::io::write(&self.file, ports.as_bytes()))?;
        Ok(())
    }
}

impl AsFd for EventChannels {
    /// Readable when a port has an event.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
