//! The device in real machines, as QEMU's own device `vgpu-stub`.
//!
//! `cargo xtask test` builds what these tests need and names it to them.

mod bed;
#[path = "../common/mod.rs"]
mod common;
mod conformance;
mod criteria;
mod features;
mod firmware;
mod hostile;
mod hotplug;
mod install;
mod migration;
mod operator;
mod unplug;
