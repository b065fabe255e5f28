//! The device that a server puts behind a socket.

use rustix::io::Errno;

use crate::interrupts::{InterruptIndex, Interrupts};
use crate::memory::DmaMap;
use crate::region::{Region, RegionIndex};

/// A PCI device as a vfio-user client sees it.
///
/// The methods are called from [`serve`](crate::Connection::serve), one at a
/// time, while the client, and with it a guest's vCPU, waits: they must return
/// at once. QEMU gives up after 5 seconds.
///
/// None has a default: a device that wraps another, and forgets one, does not
/// compile.
///
/// An error is sent to the client as the reply's error number.
pub trait Device {
    /// Size and access rights of a region. The same throughout a connection.
    fn region(&self, index: RegionIndex) -> Region;

    /// How many interrupts of this type there are. The same throughout a
    /// connection.
    fn interrupt_count(&self, index: InterruptIndex) -> u16;

    /// A client has connected. `interrupts` may be kept until
    /// [`disconnected`](Self::disconnected), and used from any thread.
    fn connected(&mut self, interrupts: &Interrupts);

    /// The client has left; its DMA maps are gone. What else a device holds
    /// should stay, as a client may connect again (specification, "Client
    /// Disconnection").
    fn disconnected(&mut self);

    /// Reads from a region: fills `data`, of 1 to [`MAX_DATA`](crate::MAX_DATA)
    /// bytes. The access lies within the region, which allows reads.
    ///
    /// # Errors
    ///
    /// If the device cannot answer. QEMU then logs it and gives the guest all
    /// ones.
    fn read(&mut self, region: RegionIndex, offset: u64, data: &mut [u8]) -> Result<(), Errno>;

    /// Writes `data`, of 1 to [`MAX_DATA`](crate::MAX_DATA) bytes, to a region.
    /// The access lies within the region, which allows writes.
    ///
    /// # Errors
    ///
    /// If the device cannot take it. QEMU then logs it, and the guest goes on.
    fn write(&mut self, region: RegionIndex, offset: u64, data: &[u8]) -> Result<(), Errno>;

    /// Back to the power-on state.
    ///
    /// # Errors
    ///
    /// If the device cannot be reset.
    fn reset(&mut self) -> Result<(), Errno>;

    /// The client has made a part of its memory reachable. It overlaps none
    /// of those that are mapped.
    ///
    /// # Errors
    ///
    /// If the device cannot use it; it is then not mapped.
    fn dma_mapped(&mut self, map: &DmaMap) -> Result<(), Errno>;

    /// That part must not be reached any more once this returns.
    fn dma_unmapped(&mut self, map: &DmaMap);
}
