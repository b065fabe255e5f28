//! `vgpu-emulator vfio-user`, against clients that are no QEMU.

mod act_list;
mod acts;
mod attacker;
mod bed;
mod ends;
mod faults;
mod guard;
mod raw;
mod sandbox;
mod server;
