//! The device under stock QEMU, which reaches it by vfio-user.
//!
//! `cargo xtask test` builds what these tests need and names it to them.

mod bed;
#[path = "../common/mod.rs"]
mod common;
mod conformance;
mod cost;
mod criteria;
mod features;
mod hostile;
mod kills;
mod lifetime;
mod own_files;
mod same_device;
mod unplug;
