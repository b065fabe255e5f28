//! The process that serves one session.
//!
//! [`serve`] makes the session's memory, gives up all rights that it does not
//! need, checks that they are gone, and only then reads what the program sends.
//! What commands mean is the [`Service`]'s.

mod driver;
mod regions;
mod sandbox;
mod serve;
mod service;

pub use driver::{DRIVER_POLICY, FilesKept, keep_driver_files};
pub use regions::Regions;
pub use sandbox::POLICY;
pub use serve::{Error, Options, serve};
pub use service::{Context, Fatal, Request, Service};

/// Writes a line for the daemon's log, if the daemon still takes any.
pub fn log(line: impl std::fmt::Display) {
    use std::io::Write;
    // The daemon ends a log that grows too long: that is no worker's end.
    let _ = writeln!(std::io::stderr(), "{line}");
}
