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
//! | [`ADOPT`] | emulator | `channel`: its worker lives, of a daemon that is gone | the way back |
//! | [`STATE`] | daemon | `status`: 1 where channels may be opened | |
//! | [`DONE`] | daemon | `of` a kind, with its `channel` and `region`; `status` is 0 or an errno | of [`OPEN`]: the way back |
//! | [`LOST`] | daemon | `channel`: its worker is gone | |
//!
//! Each message of an emulator but [`ATTACH`] is answered by one [`DONE`]; [`ATTACH`] is by [`STATE`], or the socket's end.
//! What was given up is unmapped in every process before it is done.
//!
//! Memory is pieces of files: `pieces` of [`Piece`] in a sealed memory file, and `files` files that they name by their place.
//! Doorbell and interrupt are eventfds: the one wakes the worker, the other the guest.
//!
//! # The way back
//!
//! A worker outlives its daemon for [`GRACE_MS`] milliseconds. The way back is a pair of sockets: one end is the worker's, the
//! other the emulator's, who lends it to the next daemon by [`ADOPT`]. Where the emulator closes its end, or shuts it down for
//! writing, a worker without a daemon ends at once; the emulator's end hangs up when the worker is gone. A worker takes a
//! daemon's word from the way back only while it has none, and only of its own user, as the kernel says (`SCM_CREDENTIALS`).
//!
//! A daemon passes [`PAGE`], [`OPEN`], [`ADD`] and [`DELETE`] on to a worker, which answers them by [`DONE`], and says beside:
//!
//! | kind | from, where | means | descriptors |
//! |---|---|---|---|
//! | [`WAY`] | daemon, first of all | `length`: which engine the worker has, for a later daemon | the worker's end of the way back |
//! | [`ADOPT`] | daemon, on the way back | `version`, `channel` | the worker's socket from now on |
//! | [`HAS`] | worker, there | `region`, `length`, `pieces`: what it shares; 0 is the first | |
//! | [`DONE`] of [`ADOPT`] | worker, after the last [`HAS`] | `length`: as [`WAY`] had it | |
//! | [`GATE`] | daemon | a new gate; answered by [`DONE`] | the worker's end of it |

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Version of these messages.
pub const VERSION: u32 = 2;

/// How long a worker goes on without a daemon, in milliseconds.
pub const GRACE_MS: u64 = 5000;

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
pub const ADOPT: u32 = 8;
/// See [`ATTACH`].
pub const STATE: u32 = 0x101;
/// See [`ATTACH`].
pub const DONE: u32 = 0x102;
/// See [`ATTACH`].
pub const LOST: u32 = 0x103;
/// See [the way back](self#the-way-back); so all of these.
pub const WAY: u32 = 0x201;
/// See [`WAY`].
pub const HAS: u32 = 0x202;
/// See [`WAY`].
pub const GATE: u32 = 0x203;

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
