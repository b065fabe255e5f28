//! Why there is no group.

use std::io;
use std::path::{Path, PathBuf};

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
    pub(crate) fn cannot(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::System {
            action,
            path,
            source,
        }
    }
}
