//! Event channels, by `/dev/xen/evtchn`.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, retry_on_intr};

use crate::DomainId;
use crate::abi::{BindInterdomain, evtchn};
use crate::ioctl::ioctl;

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

    /// Gives up, for good, all that this handle can do to other domains.
    ///
    /// # Errors
    ///
    /// The kernel refuses, or is older than 4.11.
    pub fn restrict(&self, domain: DomainId) -> Result<(), Errno> {
        let mut domain = domain.0;
        // SAFETY: the request takes a structure of one domid_t.
        unsafe { ioctl(&self.file, evtchn::RESTRICT_DOMID, &mut domain) }?;
        Ok(())
    }

    /// Connects to a port of `domain`. An event is pending at once, as one may
    /// have been missed.
    ///
    /// # Errors
    ///
    /// The domain has no such port for this one, or another has bound it.
    pub fn bind(&self, domain: DomainId, port: u32) -> Result<Port, Errno> {
        let mut bind = BindInterdomain {
            domain: domain.0.into(),
            port,
        };
        // SAFETY: the structure is the request's own.
        let port = unsafe { ioctl(&self.file, evtchn::BIND_INTERDOMAIN, &mut bind) }?;
        Ok(Port(port.unsigned_abs()))
    }

    /// Sends an event.
    ///
    /// # Errors
    ///
    /// The port is not this process's.
    pub fn notify(&self, port: Port) -> Result<(), Errno> {
        let mut port = port.0;
        // SAFETY: the request takes a structure of one port, which is 32 bits.
        unsafe { ioctl(&self.file, evtchn::NOTIFY, &mut port) }?;
        Ok(())
    }

    /// Waits for events, and returns the ports that have one, as many as there
    /// is room for. They are masked until [`unmask`](Self::unmask).
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub fn wait<'a>(&self, ports: &'a mut [u32]) -> Result<&'a [u32], Errno> {
        use zerocopy::IntoBytes;
        let size = retry_on_intr(|| rustix::io::read(&self.file, ports.as_mut_bytes()))?;
        Ok(ports.get(..size / size_of::<u32>()).unwrap_or_default())
    }

    /// Lets these ports have events again.
    ///
    /// # Errors
    ///
    /// What the kernel says.
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
