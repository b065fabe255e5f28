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

mod group;
mod own;
mod root;

use std::io;
use std::path::{Path, PathBuf};

pub use group::{Bounds, Group};
pub use root::Root;

/// Why there is no group. The text is one line of cause.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused something.
    #[error("cannot {action} {}: {source}", path.display())]
    System {
        /// What it was, as in "cannot … PATH".
        action: &'static str,
        /// Of which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The host has no cgroup v2 that this process is in.
    #[error("no cgroup v2 is mounted")]
    None,
    /// It is a folder of another kind.
    #[error("{} is no control group of version 2", .0.display())]
    NoGroup(PathBuf),
    /// This process's group has others in it, so it is not its own to divide.
    #[error("the control group {} has other processes: it was not delegated to this one", .0.display())]
    Shared(PathBuf),
    /// Another process divides it.
    #[error("another process divides {}", .0.display())]
    Taken(PathBuf),
}

impl Error {
    /// Says what the system refused.
    fn cannot(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::System {
            action,
            path,
            source,
        }
    }
}
