//! The signals that end a process in order.

use std::io;
use std::os::unix::net::UnixStream;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::pipe;

/// SIGTERM, SIGINT and SIGHUP no longer end the process at once: the stream
/// becomes readable.
///
/// # Errors
///
/// If the process has no descriptors left.
pub fn ending_signals() -> io::Result<UnixStream> {
    let (signalled, signal) = UnixStream::pair()?;
    for number in [SIGTERM, SIGINT, SIGHUP] {
        pipe::register(number, signal.try_clone()?)?;
    }
    Ok(signalled)
}
