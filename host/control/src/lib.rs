//! The control socket of a process that emulates devices: an operator reads
//! registers and counters there, sets Status, switches tracing, and ends the
//! process. One JSON object a line; `docs/control.md` describes the protocol.
//!
//! A process implements [`Service`], and drives a [`Server`] from the loop
//! that it has anyway. Programs talk to it with a [`Client`].
#![forbid(unsafe_code)]
// No client may end the process that serves a guest.
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used)
)]

mod attachment;
mod client;
mod connection;
mod devices;
pub mod protocol;
mod results;
mod server;
mod service;

pub use attachment::Attachment;
pub use client::{Client, ClientError};
pub use devices::Devices;
pub use server::Server;
pub use service::Service;
