//! The process that serves one session.
//!
//! [`serve`] makes the session's memory, gives up all rights that it does not
//! need, checks that they are gone, and only then reads what the program sends.
//! What commands mean is the [`Service`]'s.

mod driver;
mod log;
mod options;
mod regions;
mod sandbox;
mod serve;
mod service;

pub use driver::{DRIVER_POLICY, FilesKept, keep_driver_files};
pub use log::log;
pub use options::Options;
pub use regions::Regions;
pub use sandbox::POLICY;
pub use serve::{Error, serve};
pub use service::{Context, Fatal, Request, Service};
