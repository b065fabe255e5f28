//! What becomes of a connection that is read by lines.

use std::io;

use thiserror::Error;

/// Why there is no connection, or no line.
#[derive(Debug, Error)]
pub enum LineError {
    /// Nobody can be reached at the path.
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    /// The other side took too long.
    #[error("no answer in time")]
    TimedOut,
    /// The connection ended.
    #[error("the connection was closed")]
    Closed,
    /// The line is longer than any of the protocol's.
    #[error("the line does not end")]
    TooLong,
}
