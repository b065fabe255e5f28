//! The regions of a device, through which a client reaches it.

use rustix::io::Errno;
use vfio_bindings::bindings::vfio::{VFIO_REGION_INFO_FLAG_READ, VFIO_REGION_INFO_FLAG_WRITE};

use crate::wire;

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
pub enum RegionIndex {
    /// Base address register 0, and what is behind it.
    Bar0,
    /// Base address register 1, or the upper half of BAR0's address.
    Bar1,
    /// Base address register 2.
    Bar2,
    /// Base address register 3, or the upper half of BAR2's address.
    Bar3,
    /// Base address register 4.
    Bar4,
    /// Base address register 5, or the upper half of BAR4's address.
    Bar5,
    /// The expansion ROM.
    Rom,
    /// Config space: 256 bytes, or 4096 of a PCI Express function.
    Config,
    /// The legacy ranges of a VGA device.
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
        wire::numbered(&Self::ALL, index)
    }
}
