//! Messages between the process that has a device and `vgpud`, which has workers serve its channels.
//!
//! They go over a UNIX socket of sequenced packets, one [`Message`] a packet, with descriptors beside it. Neither side believes
//! the other: numbers are checked where they enter. Who may attach for which machine is up to the other side's user and the
//! daemon's configuration; nothing that a guest says takes part in it.
//!
//! | kind | from | means | descriptors |
//! |---|---|---|---|
//! | [`ATTACH`] | emulator | `version`, `machine`: first of all | |
//! | [`PAGE`] | emulator | the device's page, for pending bits | pieces, files |
//! | [`OPEN`] | emulator | `channel`, `length` of its slice | pieces, doorbell, interrupt, files |
//! | [`CLOSE`] | emulator | `channel` | |
//! | [`ADD`] | emulator | `channel`, `region`, `length` | pieces, files |
//! | [`DELETE`] | emulator | `channel`, `region` | |
//! | [`RESET`] | emulator | gives all channels and the page up | |
//! | [`STATE`] | daemon | `status`: 1 where channels may be opened | |
//! | [`DONE`] | daemon | `of` a kind, with its `channel` and `region`; `status` is 0 or an errno | |
//! | [`LOST`] | daemon | `channel`: its worker is gone | |
//!
//! Each message of an emulator but [`ATTACH`] is answered by one [`DONE`]; [`ATTACH`] is by [`STATE`], or the socket's end.
//! What was given up is unmapped in every process before it is done.
//!
//! Memory is pieces of files: `pieces` of [`Piece`] in a sealed memory file, and `files` files that they name by their place.
//! Doorbell and interrupt are eventfds: the one wakes the worker, the other the guest.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Version of these messages.
pub const VERSION: u32 = 1;

/// The most descriptors of a message.
pub const DESCRIPTORS: usize = 16;

/// The most files that the memory of one message may be in.
pub const FILES: usize = DESCRIPTORS - 3;

/// See the table above; so all of these.
pub const ATTACH: u32 = 1;
/// See [`ATTACH`].
pub const PAGE: u32 = 2;
/// See [`ATTACH`].
pub const OPEN: u32 = 3;
/// See [`ATTACH`].
pub const CLOSE: u32 = 4;
/// See [`ATTACH`].
pub const ADD: u32 = 5;
/// See [`ATTACH`].
pub const DELETE: u32 = 6;
/// See [`ATTACH`].
pub const RESET: u32 = 7;
/// See [`ATTACH`].
pub const STATE: u32 = 0x101;
/// See [`ATTACH`].
pub const DONE: u32 = 0x102;
/// See [`ATTACH`].
pub const LOST: u32 = 0x103;

/// A packet. What a kind does not use is 0.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Message {
    /// What it is.
    pub kind: u32,
    /// In [`DONE`]: of what kind.
    pub of: u32,
    /// 0, an errno, or a state.
    pub status: u32,
    /// [`VERSION`].
    pub version: u32,
    /// A channel's number, below [`crate::bar0::CHANNELS`].
    pub channel: u32,
    /// A region's number in its channel; 0 is the slice.
    pub region: u32,
    /// Bytes of the memory.
    pub length: u64,
    /// Pieces that the memory is in, 1 to [`crate::segment::PIECES_MAX`].
    pub pieces: u32,
    /// Files that the pieces are in, 1 to [`FILES`].
    pub files: u32,
    /// The machine, by its UUID.
    pub machine: [u8; 16],
}

/// A piece of memory; a region is its pieces, one after the other.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Piece {
    /// Where in the file it begins, a multiple of [`crate::segment::PAGE`].
    pub offset: u64,
    /// Its bytes, a multiple of the same.
    pub length: u64,
    /// Which of the message's files, from 0.
    pub file: u32,
    /// 0.
    pub reserved: u32,
}
