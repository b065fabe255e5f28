//! Messages of a fixed form over a UNIX socket of sequenced packets (`SOCK_SEQPACKET`): one message a packet, with
//! descriptors beside it. What is too long for a message travels in a sealed memory file ([`sealed`]).
//!
//! Neither end believes the other: a packet of another size is an error, and descriptors that nobody asked for are closed.
//!
//! ```
//! use std::os::fd::AsFd;
//!
//! # fn main() -> Result<(), vgpu_packet::Error> {
//! let (one, other) = vgpu_packet::pair()?;
//! vgpu_packet::send(&one, &7_u64, &[one.as_fd()])?;
//! let (message, descriptors) = vgpu_packet::receive::<u64>(&other, 3)?;
//! assert_eq!((message, descriptors.len()), (7, 1));
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod packet;
pub mod sealed;

pub use packet::{
    Error, MOST_DESCRIPTORS, Received, Sender, connect, is_packet_socket, pair, receive, send,
    tell_senders, try_receive, try_receive_from,
};
