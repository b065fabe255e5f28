//! Why a process is not in its sandbox.

use std::io;

use rustix::io::Errno;
use thiserror::Error as ThisError;

/// Why a process is not in its sandbox. The text is one line of cause.
#[derive(Debug, ThisError)]
pub enum Error {
    /// The system refused something.
    #[error("cannot {action}: {source}")]
    System {
        /// What it was, as in "cannot …".
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The system took it, and it is not so all the same.
    #[error("{0} is not in force")]
    NotInForce(String),
    /// The system calls cannot be limited.
    #[error("cannot limit the system calls: {0}")]
    Filter(#[from] seccompiler::Error),
}

impl Error {
    /// Says what the system refused.
    pub(crate) fn cannot(action: &'static str) -> impl FnOnce(Errno) -> Self {
        move |errno| Self::System {
            action,
            source: errno.into(),
        }
    }
}
