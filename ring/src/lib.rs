//! The shared memory of one session between a guest's program and the host.
//!
//! A *slice* holds one command ring, 64 reply slots and an arena, where
//! [`layout`] puts them. The guest's half is in [`guest`],
//! the host's in [`host`]. Both treat the other as hostile: an index is read
//! once, a record is copied once, all arithmetic is checked, and an inconsistent
//! value ends the channel ([`Fault`]), never the process.
//!
//! Everything is generic over the word ([`Word`]), so that a model checker runs
//! the same code, and over the way to wake ([`Wake`], [`Park`]).
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

#[cfg(target_endian = "big")]
compile_error!("the slice is little-endian, and so is every supported machine");

pub mod echo;
pub mod guest;
pub mod host;
pub mod layout;
mod memory;
mod record;
mod reply;
mod spsc;
pub mod version;
pub mod wait;

pub use memory::{Memory, Slice, TooSmall, Word};
pub use record::{HEADER_SIZE, Header, LONGEST_RECORD, NO_SLOT, PAD, Record};
pub use reply::{NoRoom, Replies, Reply};
pub use spsc::{Consumer, Fault, Next, Producer, PushError};
pub use wait::{Park, Spin, Wake};
