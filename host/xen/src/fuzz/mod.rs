//! The parts of this crate that answer a guest, for the fuzz targets: they are
//! private, so these are here. Each function takes any bytes
//! and panics where something does not hold.
#![allow(
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what the fuzzer finds is a panic"
)]

mod ioreq;
mod kept;
mod script;

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use rustix::fs::{MemfdFlags, memfd_create};

pub use ioreq::run as ioreq;
pub use kept::run as kept;

/// A file in memory, and a path that opens it.
fn memory_file() -> (File, PathBuf) {
    let file = File::from(memfd_create("fuzz", MemfdFlags::CLOEXEC).unwrap());
    let path = format!("/proc/self/fd/{}", file.as_raw_fd()).into();
    (file, path)
}
