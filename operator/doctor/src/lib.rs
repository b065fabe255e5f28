//! `vgpu-stub doctor`, which finds out why a VM has no working device, and `vgpu-stub check`, which tries the device inside a
//! guest.
#![forbid(unsafe_code)]

pub mod check;
pub mod doctor;
