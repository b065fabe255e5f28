//! The daemon's log.

use std::fmt::Display;
use std::io::Write;

/// Writes a line for the daemon's log, if the daemon still takes any.
pub fn log(line: impl Display) {
    // The daemon ends a log that grows too long: that is no worker's end.
    let _ = writeln!(std::io::stderr(), "{line}");
}
