//! The process that serves one session.
//!
//! [`serve`] makes the memory of a session with a program on this machine; [`serve_channel`] maps the memory that a virtual
//! machine's guest gave its channel. Both give up all rights that they do not need, check that these are gone, and only then
//! read what the program sends. What commands mean is the [`Service`]'s.
#![forbid(unsafe_code)]

mod channel;
mod close;
mod driver;
mod local;
mod log;
mod memory;
mod options;
mod policy;
mod regions;
mod serve;
mod service;
mod way;

pub use channel::serve_channel;
pub use driver::{DRIVER_POLICY, FilesKept, keep_driver_files};
pub use local::serve;
pub use log::log;
pub use options::Options;
pub use policy::{CHANNEL_POLICY, POLICY};
pub use regions::Regions;
pub use serve::Error;
pub use service::{Context, Fatal, Request, Service};
