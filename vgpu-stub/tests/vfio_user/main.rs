//! `vgpu-stub vfio-user`, against clients that are no QEMU.

mod bed;
mod ends;
mod faults;
mod guard;
mod raw;
mod sandbox;
mod server;
