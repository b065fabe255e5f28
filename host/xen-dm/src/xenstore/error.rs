//! What can go wrong.

use std::io;

use thiserror::Error;

use crate::Errno;

/// Why xenstore did not do what it was asked for.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// Xenstore refused it.
    #[error("{0}")]
    Refused(Errno),
    /// The connection failed.
    #[error("the connection to xenstore failed: {0}")]
    Connection(#[from] io::Error),
    /// Xenstore did not answer in time. What was asked for may be done or not; the connection is as good as before.
    #[error("xenstore does not answer")]
    TimedOut,
    /// What came is no answer of xenstore's.
    #[error("xenstore does not keep to its protocol")]
    Protocol,
    /// A path or value does not fit into a message.
    #[error("a path or value is too long for xenstore")]
    TooLong,
}

impl Error {
    /// Whether the path does not exist.
    #[must_use]
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Refused(Errno::NOENT))
    }

    /// Whether a transaction has to be made again.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused(Errno::AGAIN))
    }
}
