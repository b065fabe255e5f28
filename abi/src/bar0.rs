//! Layout of BAR0, the window between guest driver and host.
//!
//! | offset | content | guest access |
//! |---|---|---|
//! | 0x000 | [`COMMAND`] | read-write |
//! | 0x004 | [`STATUS`] | read; the host writes it |
//! | 0x008 | [`DATA_OFFSET`] | read-write |
//! | 0x00C | [`DATA_LENGTH`] | read-write |
//! | 0x010 | [`REQUEST_ID`] | read-write |
//! | 0x014..0x020 | reserved registers | read 0, writes ignored |
//! | 0x020..0x400 | [`DATA`], plain storage | read-write |
//! | 0x400..size | reserved | read 0, writes ignored |
//!
//! A device with features has more in what is reserved above, up to 0x1000:
//!
//! | offset | content | guest access |
//! |---|---|---|
//! | 0x400..0x438 | [`MAGIC`] to [`EVENTS_ACK`], the feature block | as its rows say |
//! | 0x800..0xC00 | [`DOORBELLS`], one for each channel | write |
//! | 0xC00..0xC20 | [`MSIX_TABLE`] | read-write |
//! | 0xE00..0xE08 | [`MSIX_PENDING`] | read |
//!
//! Registers and doorbells take aligned accesses of 4 bytes, the table of interrupts also of 8, the data region aligned ones of
//! 1, 2, 4 and 8 bytes. All values are little-endian.

use core::ops::Range;

/// Index of the BAR, at config offset 0x10.
pub const INDEX: usize = 0;

constants! { CONSTANTS, "VGPU_BAR0_";
    /// Command register: the guest writes its commands here ([`crate::mailbox`]).
    COMMAND: u64 = 0x000;
    /// Status register: written by the host alone.
    STATUS: u64 = 0x004;
    /// Data Offset register: where the guest's data starts, in bytes from BAR0.
    DATA_OFFSET: u64 = 0x008;
    /// Data Length register: size of the guest's data, in bytes.
    DATA_LENGTH: u64 = 0x00c;
    /// Request ID register: matches a response with its request.
    REQUEST_ID: u64 = 0x010;
    /// [`MAGIC_VALUE`] where the device has features, else 0. Read-only.
    MAGIC: u64 = 0x400;
    /// Version of this ABI: major in bits 31:16, minor in 15:0. Read-only.
    ABI: u64 = 0x404;
    /// Bits 31:0 of what the device offers ([`crate::features`]). Read-only.
    FEATURES: u64 = 0x408;
    /// Bits 63:32 of it. Read-only.
    FEATURES_HIGH: u64 = 0x40c;
    /// Bits 31:0 of what the driver accepts. Read-write until DRIVER says [`crate::features::driver::SETTLED`].
    ACK: u64 = 0x410;
    /// Bits 63:32 of it.
    ACK_HIGH: u64 = 0x414;
    /// How far the driver is ([`crate::features::driver`]). Read-write: one step up at a time, or 0.
    DRIVER: u64 = 0x418;
    /// How far the host is ([`crate::features::state`]). Read-only.
    STATE: u64 = 0x41c;
    /// Count of losses and resets. Read-only.
    GENERATION: u64 = 0x420;
    /// Channels in bits 15:0, regions of each in 31:16. Read-only.
    LIMITS: u64 = 0x424;
    /// The most guest memory that all regions may have, in MiB. Read-only.
    PINNED_MAX: u64 = 0x428;
    /// The Xen domain to grant memory to; [`NO_PEER`] where there is none. Read-only.
    PEER: u64 = 0x42c;
    /// What happened behind interrupt vector 0 ([`crate::features::event`]). Read-only.
    EVENTS: u64 = 0x430;
    /// Clears each bit of EVENTS in which a write has a 1; reads 0.
    EVENTS_ACK: u64 = 0x434;
}

constants! { VALUES, "VGPU_";
    /// What MAGIC reads: "VGPU".
    MAGIC_VALUE: u32 = 0x5550_4756;
    /// What ABI reads: version 1.0.
    ABI_VERSION: u32 = 1 << 16;
    /// What PEER reads where memory is not granted.
    NO_PEER: u32 = 0xffff;
    /// Interrupt vectors: 0 for [`EVENTS`], 1 for all channels.
    VECTORS: u16 = 2;
    /// The most channels: as many as there are doorbells.
    CHANNELS: u16 = 256;
    /// Where the data region begins in BAR0.
    DATA_REGION: u64 = DATA.start;
    /// Where doorbells begin in BAR0, one of 4 bytes for each channel.
    DOORBELL: u64 = DOORBELLS.start;
}

/// The block of 32-bit registers, the reserved ones among them.
pub const REGISTERS: Range<u64> = 0x000..0x020;

/// The data region: 992 bytes of plain storage.
pub const DATA: Range<u64> = 0x020..0x400;

/// The feature block, the reserved registers in it among it.
pub const FEATURE_BLOCK: Range<u64> = 0x400..0x800;

/// The doorbells: channel `n` has the 4 bytes at `4 * n`. Any value rings.
pub const DOORBELLS: Range<u64> = 0x800..0xc00;

/// The table of MSI-X: 16 bytes for each vector (PCI 3.0 section 6.8.2).
pub const MSIX_TABLE: Range<u64> = 0xc00..0xc20;

/// Its pending bits.
pub const MSIX_PENDING: Range<u64> = 0xe00..0xe08;

/// The end of all that a device with features has; what a larger BAR0 has above it is reserved.
pub const END: u64 = 0x1000;

/// Size of BAR0 unless configured otherwise, in bytes.
pub const DEFAULT_SIZE: u32 = 4 << 10;

/// Smallest size of BAR0, in bytes: one page, so that a guest can map it.
pub const MIN_SIZE: u32 = 4 << 10;

/// Largest size of BAR0, in bytes. It must find room below 4 GiB.
pub const MAX_SIZE: u32 = 16 << 20;
