//! Control groups of Linux, version 2 (the kernel's `Documentation/admin-guide/cgroup-v2.rst`): a folder of groups below
//! one that is this process's to divide, and in each the processes that it starts, with bounds that hold for all of them.
//!
//! ```no_run
//! use vgpu_control_group::{Bounds, Root};
//!
//! let root = Root::own()?;
//! let group = root.group("vm-7", Bounds { memory: Some(1 << 30), tasks: 100 })?;
//! let child = std::process::Command::new("sleep").arg("9").spawn()?;
//! group.add(child.id())?;
//! group.kill()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What cannot be had, such as on a host with version 1 alone, is an error that says what is missing; a controller that is
//! not there, such as where version 1 has it, leaves its bound out ([`Root::controllers`]).
#![forbid(unsafe_code)]

mod error;
mod group;
mod own;
mod root;

pub use error::Error;
pub use group::{Bounds, Group};
pub use root::Root;
