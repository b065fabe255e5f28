//! The device-model operations that a supervisor asks Xen for, on the ioreq servers of one domain.

use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use vgpu_pci::Slot;
use xen_dm::device_model::{DeviceModel, Range, ServerId};

use crate::request_loop;
use crate::xen::Xen;

/// How long vCPUs have to take their last answers.
const TAKEN: Duration = Duration::from_millis(100);

/// A server, as it is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// One with buffered requests, which ours have not: QEMU's, for one.
    Buffered,
    /// One whose page has this mark, which is not 0.
    Marked(u64),
    /// One whose page has no mark, and that nobody has answered for yet.
    New,
    /// One whose page has no mark, and that somebody answers for.
    Used,
}

/// Operations on a domain's ioreq servers. Tests have others than Xen's.
pub(crate) trait DeviceModelOps {
    /// Sees whether there is a server. It fails with `ENOENT` where there is
    /// none, with `ESRCH` where the domain is gone.
    fn look(&self, server: ServerId) -> Result<(), Errno>;

    /// Looks at a server as closely as Xen lets.
    fn find(&self, server: ServerId) -> Result<Found, Errno>;

    /// Marks the page of a server, until it is destroyed.
    fn mark(&self, server: ServerId, mark: u64) -> Result<(), Errno>;

    /// Whether a server can have requests still, which it can no longer once
    /// its domain dies. It is enabled by this.
    fn exists(&self, server: ServerId) -> bool;

    /// Makes one; it has the lowest id that is free.
    fn create(&self) -> Result<ServerId, Errno>;

    /// Has a server get the accesses to the PCI function in `slot`.
    fn map(&self, server: ServerId, slot: Slot) -> Result<(), Errno>;

    /// Lets a server have no more requests, completes those that it has as if
    /// there were no device, and waits a moment until their vCPUs have seen
    /// that.
    fn disable(&self, server: ServerId) -> Result<(), Errno>;

    /// Ends a server.
    fn destroy(&self, server: ServerId) -> Result<(), Errno>;
}

impl DeviceModelOps for DeviceModel {
    fn look(&self, server: ServerId) -> Result<(), Errno> {
        self.is_buffered(server).map(drop)
    }

    fn find(&self, server: ServerId) -> Result<Found, Errno> {
        if self.is_buffered(server)? {
            return Ok(Found::Buffered);
        }
        let page = self.map_requests(server)?;
        // Xen notes each vCPU's event channel when a server is enabled.
        Ok(match (page.mark(), page.port(0)) {
            (0, None) => Found::New,
            (0, Some(_)) => Found::Used,
            (mark, _) => Found::Marked(mark),
        })
    }

    fn mark(&self, server: ServerId, mark: u64) -> Result<(), Errno> {
        self.map_requests(server)?.set_mark(mark);
        Ok(())
    }

    fn exists(&self, server: ServerId) -> bool {
        self.set_enabled(server, true).is_ok()
    }

    fn create(&self) -> Result<ServerId, Errno> {
        self.create_server()
    }

    fn map(&self, server: ServerId, slot: Slot) -> Result<(), Errno> {
        let slot = slot.into();
        self.map(server, Range::Pci { slot }, true)
    }

    fn disable(&self, id: ServerId) -> Result<(), Errno> {
        let refused = |error: std::io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
        let mut server = Xen::connect(id, self.domain()).map_err(refused)?;
        self.set_enabled(id, false)?;
        request_loop::drain(&mut server);
        // Xen forgets an answer that a vCPU has not taken when the server goes, and the guest reads 0. A paused guest
        // takes none.
        let deadline = Instant::now().checked_add(TAKEN);
        while server.has_responses() && deadline.is_some_and(|it| Instant::now() < it) {
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn destroy(&self, server: ServerId) -> Result<(), Errno> {
        self.destroy_server(server)
    }
}
