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
//! Registers take aligned accesses of 4 bytes, the data region aligned ones
//! of 1, 2, 4 and 8 bytes. All values are little-endian.

use core::ops::Range;

/// Index of the BAR, at config offset 0x10.
pub const INDEX: usize = 0;

/// Command register: the guest writes its commands here.
pub const COMMAND: u64 = 0x000;

/// Status register: written by the host alone.
pub const STATUS: u64 = 0x004;

/// Data Offset register: where the guest's data starts.
pub const DATA_OFFSET: u64 = 0x008;

/// Data Length register: size of the guest's data, in bytes.
pub const DATA_LENGTH: u64 = 0x00c;

/// Request ID register: matches a response with its request.
pub const REQUEST_ID: u64 = 0x010;

/// The block of 32-bit registers, the reserved ones among them.
pub const REGISTERS: Range<u64> = 0x000..0x020;

/// The data region: 992 bytes of plain storage.
pub const DATA: Range<u64> = 0x020..0x400;

/// Size of BAR0 unless configured otherwise, in bytes.
pub const DEFAULT_SIZE: u32 = 4 << 10;

/// Smallest size of BAR0, in bytes: one page, so that a guest can map it.
pub const MIN_SIZE: u32 = 4 << 10;

/// Largest size of BAR0, in bytes. It must find room below 4 GiB.
pub const MAX_SIZE: u32 = 16 << 20;
