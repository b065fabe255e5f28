//! What the project is tested with: a cache, packages of Debian and Ubuntu, steps with progress, virtual machines.
#![forbid(unsafe_code)]

pub mod cache;
pub mod channel;
pub mod daemon;
pub mod debian;
pub mod debian_qemu;
pub mod firmware;
pub mod guest;
pub mod host_packages;
pub mod idle;
pub mod initramfs;
pub mod kernel;
pub mod kernel_module;
pub mod libvirt;
pub mod listener;
pub mod machine;
pub mod own_kernel;
pub mod ping;
pub mod process;
pub mod python;
pub mod qmp;
pub mod qtest;
mod root_folder;
pub mod run_folder;
pub mod sanitized_kernel;
pub mod server;
pub mod shell;
pub mod soak;
pub mod static_program;
pub mod steps;
pub mod stock_qemu;
pub mod stream;
