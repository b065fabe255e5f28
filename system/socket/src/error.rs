//! Why a socket could not be made.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// The bytes of `sun_path`, less the zero at its end.
pub(crate) const LONGEST_PATH: usize = 107;

/// Why there is no listening socket at the path. The text is one line of
/// cause; [`BindError::mend`] is one line of what to do.
#[derive(Debug, Error)]
pub enum BindError {
    /// A server holds the path, and answers.
    #[error("a live server listens on {path:?}")]
    Live {
        /// The path asked for.
        path: PathBuf,
    },
    /// The path names something else, which is left alone.
    #[error("{path:?} is there already and is no socket")]
    NotASocket {
        /// The path asked for.
        path: PathBuf,
    },
    /// The folder of the path does not exist, or is none.
    #[error("there is no folder {folder:?}")]
    NoFolder {
        /// The folder of the path asked for.
        folder: PathBuf,
    },
    /// The path does not fit into the address of a UNIX socket.
    #[error("the path {path:?} has {} bytes; a UNIX socket's has at most {LONGEST_PATH}", path.as_os_str().len())]
    TooLong {
        /// The path asked for.
        path: PathBuf,
    },
    /// Another server that starts at the path does not get on.
    #[error("another server is starting there, and keeps {lock:?} locked")]
    Locked {
        /// The file beside the socket that orders starting servers.
        lock: PathBuf,
    },
    /// The file that orders starting servers is not this user's alone.
    #[error("{lock:?} is there already, and is no file of this user alone")]
    ForeignLock {
        /// The file beside the socket that orders starting servers.
        lock: PathBuf,
    },
    /// The system refused one of the steps.
    #[error("cannot {action} {path:?}: {source}")]
    System {
        /// The step, as in "cannot … PATH".
        action: &'static str,
        /// What it was done to.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl BindError {
    /// What to do about it, in one line.
    #[must_use]
    pub fn mend(&self) -> &'static str {
        match self {
            Self::Live { .. } => "stop that server, or choose another path",
            Self::NotASocket { .. } => "choose another path, or move that file away",
            Self::NoFolder { .. } => "create the folder, or choose a path in one that exists",
            Self::TooLong { .. } => "choose a shorter path, such as one in /run",
            Self::Locked { .. } => "find that server with lsof and end it, or choose another path",
            Self::ForeignLock { .. } => {
                "remove it, or choose a path in a folder that only you may write to"
            }
            Self::System { .. } => "choose a path in a folder that you may read and write",
        }
    }
}
