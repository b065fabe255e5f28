//! The device under libvirt, by the domains that the book and `vgpu-stub cloudstack` give.

#[path = "../common/mod.rs"]
mod common;

mod bed;
mod built_in;
mod cloudstack;
mod isolation;
mod page;
mod vfio_user;
