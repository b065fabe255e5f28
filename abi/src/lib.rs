//! What guest and host share: PCI ids and the layout of BAR0.
//!
//! A guest driver, a host daemon and the device model all take these
//! constants from here; nothing else in the project restates them.
#![no_std]
#![forbid(unsafe_code)]

pub mod bar0;
pub mod ids;
