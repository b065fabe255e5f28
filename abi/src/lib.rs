//! What guest and host share: PCI ids, the layout of BAR0, the mailbox, and how a guest names its memory.
//!
//! A guest driver, a host daemon and the device model all take these constants from here; nothing else in the project restates
//! them. C takes them from `vgpu_uapi.h`, which is made of the same tables ([`header`]).
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

#[macro_use]
mod tables;

pub mod bar0;
pub mod features;
pub mod header;
pub mod ids;
pub mod ioctl;
pub mod link;
pub mod mailbox;
pub mod segment;
