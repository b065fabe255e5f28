//! xl, which starts VMs of Xen: its configuration files as it reads them, what `vgpu-stub xl-config` adds to them, and the
//! device model that it starts, which takes the project's devices out of QEMU's arguments.
#![forbid(unsafe_code)]

mod background;
mod device_arguments;
pub mod device_model;
mod device_option;
pub mod xl_config;
pub mod xl_file;

pub use device_option::DeviceOption;
