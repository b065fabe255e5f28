//! The messages: all of one shape.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// From the daemon, first: the session's place in its machine's ledger, in `number`; with the session's page and the
/// ledger.
pub const HELLO: u32 = 1;
/// From the worker: it has work.
pub const WANT: u32 = 2;
/// From the daemon, once for each WANT: a lease.
pub const LEASE: u32 = 3;
/// From the worker: it has no use for its lease any more, but for the next one where it says so. Both in one message, so that
/// others do not go first meanwhile.
pub const BACK: u32 = 4;

/// A message.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Message {
    /// What it says.
    pub kind: u32,
    /// Of a lease: 1 where it goes on until it is recalled. Of one that comes back: 1 where another is wanted.
    pub open: u32,
    /// Of a lease: its number, from 1 on and growing.
    pub number: u64,
    /// Of a lease: engine time, in nanoseconds.
    pub time: u64,
}
