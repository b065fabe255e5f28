//! What the loop that answers a domain's guest needs of Xen.

use rustix::io::Errno;
use xen_dm::device_model::Range;
use xen_dm::ioreq::Request;

/// An ioreq server of one domain. Tests have another than Xen's.
pub(crate) trait Hypervisor {
    /// Has the server get accesses to this range, or no longer.
    ///
    /// # Errors
    ///
    /// `EEXIST` where it overlaps another range of the server; what Xen says
    /// otherwise. The server goes on.
    fn map(&mut self, range: Range, mapped: bool) -> Result<(), Errno>;

    /// How many vCPUs there may be.
    fn vcpus(&self) -> usize;

    /// Waits until vCPUs have something to say, and puts their numbers into
    /// `vcpus`.
    ///
    /// # Errors
    ///
    /// What the kernel says. The server cannot go on.
    fn wait(&mut self, vcpus: &mut Vec<usize>) -> Result<(), Errno>;

    /// Takes a vCPU's request, also one that was taken and never completed.
    fn take(&mut self, vcpu: usize) -> Option<Request>;

    /// Completes the request that was taken, and lets the vCPU go on.
    fn complete(&mut self, vcpu: usize, read: Option<u64>);

    /// Lets a vCPU go on whose request was completed, though perhaps without
    /// its knowledge.
    fn notify(&mut self, vcpu: usize);

    /// Copies out of guest memory.
    ///
    /// # Errors
    ///
    /// There is no memory there.
    fn read_guest(&mut self, address: u64, data: &mut [u8]) -> Result<(), Errno>;

    /// Copies into guest memory.
    ///
    /// # Errors
    ///
    /// There is no memory there.
    fn write_guest(&mut self, address: u64, data: &[u8]) -> Result<(), Errno>;
}
