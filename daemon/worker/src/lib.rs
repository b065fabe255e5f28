//! The process that serves one session.
//!
//! [`serve`] makes the session's memory, gives up all rights that it does not
//! need, checks that they are gone, and only then reads what the program sends.
//! What commands mean is the [`Service`]'s.
#![forbid(unsafe_code)]

mod close;
mod driver;
mod log;
mod options;
mod policy;
mod regions;
mod serve;
mod service;

pub use driver::{DRIVER_POLICY, FilesKept, keep_driver_files};
pub use log::log;
pub use options::Options;
pub use policy::POLICY;
pub use regions::Regions;
pub use serve::{Error, serve};
pub use service::{Context, Fatal, Request, Service};
