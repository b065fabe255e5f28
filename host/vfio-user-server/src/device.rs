//! The device that a server puts behind a socket.

use rustix::io::Errno;
use vfio_bindings::bindings::vfio::{VFIO_REGION_INFO_FLAG_READ, VFIO_REGION_INFO_FLAG_WRITE};

use crate::dma::DmaMap;
use crate::interrupts::Interrupts;

/// A PCI device as a vfio-user client sees it.
///
/// The methods are called from [`serve`](crate::Connection::serve), one at a
/// time, while the client, and with it a guest's vCPU, waits: they must return
/// at once. QEMU gives up after 5 seconds.
///
/// An error is sent to the client as the reply's error number.
pub trait Device {
    /// Size and access rights of a region. The same throughout a connection.
    fn region(&self, index: RegionIndex) -> Region;

    /// How many interrupts of this type there are. The same throughout a
    /// connection.
    fn interrupt_count(&self, index: InterruptIndex) -> u16 {
        let _ = index;
        0
    }

    /// A client has connected. `interrupts` may be kept until
    /// [`disconnected`](Self::disconnected), and used from any thread.
    fn connected(&mut self, interrupts: &Interrupts) {
        let _ = interrupts;
    }

    /// The client has left; its DMA maps are gone. What else a device holds
    /// should stay, as a client may connect again (specification, "Client
    /// Disconnection").
    fn disconnected(&mut self) {}

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
    fn dma_mapped(&mut self, map: &DmaMap) -> Result<(), Errno> {
        let _ = map;
        Ok(())
    }

    /// That part must not be reached any more once this returns.
    fn dma_unmapped(&mut self, map: &DmaMap) {
        let _ = map;
    }
}

/// A region of a device. A size of 0 means that there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// Size in bytes.
    pub size: u64,
    /// Whether a client may read it.
    pub readable: bool,
    /// Whether a client may write to it.
    pub writable: bool,
}

impl Region {
    /// A region that the device does not have.
    pub const ABSENT: Self = Self {
        size: 0,
        readable: false,
        writable: false,
    };

    /// A region of `size` bytes for reads and writes.
    #[must_use]
    pub const fn new(size: u64) -> Self {
        Self {
            size,
            readable: true,
            writable: true,
        }
    }

    /// Whether `count` bytes at `offset` lie within.
    pub(crate) fn holds(self, offset: u64, count: usize) -> bool {
        offset
            .checked_add(count as u64)
            .is_some_and(|end| end <= self.size)
    }

    pub(crate) fn flags(self) -> u32 {
        let flag = |set, flag| if set { flag } else { 0 };
        flag(self.readable, VFIO_REGION_INFO_FLAG_READ)
            | flag(self.writable, VFIO_REGION_INFO_FLAG_WRITE)
    }
}

/// The regions of a PCI device (`VFIO_PCI_*_REGION_INDEX` of linux/vfio.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum RegionIndex {
    Bar0,
    Bar1,
    Bar2,
    Bar3,
    Bar4,
    Bar5,
    Rom,
    Config,
    Vga,
}

impl RegionIndex {
    /// All regions in the order of their numbers on the wire.
    pub const ALL: [Self; 9] = [
        Self::Bar0,
        Self::Bar1,
        Self::Bar2,
        Self::Bar3,
        Self::Bar4,
        Self::Bar5,
        Self::Rom,
        Self::Config,
        Self::Vga,
    ];

    pub(crate) fn from_wire(index: u32) -> Result<Self, Errno> {
        from_wire(&Self::ALL, index)
    }
}

/// The interrupt types of a PCI device that have vectors
/// (`VFIO_PCI_*_IRQ_INDEX` of linux/vfio.h). Those of errors and of requests
/// to give a device back are for physical ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum InterruptIndex {
    Intx,
    Msi,
    Msix,
}

impl InterruptIndex {
    /// All types in the order of their numbers on the wire.
    pub const ALL: [Self; 3] = [Self::Intx, Self::Msi, Self::Msix];

    pub(crate) fn from_wire(index: u32) -> Result<Self, Errno> {
        from_wire(&Self::ALL, index)
    }
}

fn from_wire<T: Copy>(all: &[T], index: u32) -> Result<T, Errno> {
    all.get(index as usize).copied().ok_or(Errno::INVAL)
}
