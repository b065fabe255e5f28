//! What a command prints to stdout.

use std::io::{self, ErrorKind, Write};

use serde::Serialize;

use crate::Failure;

/// Prints to stdout. Who closes it has seen enough, as `head` has.
///
/// # Errors
///
/// It takes no more, as a full disk.
pub fn print(
    what: &str,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::new(
            format!("cannot print {what}: {error}"),
            "give the command an output that takes it",
        )),
        _ => Ok(()),
    }
}

/// Writes a value as JSON, for programs and for people.
///
/// # Errors
///
/// Those of `out`.
pub fn json(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
}
