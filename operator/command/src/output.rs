//! What a command prints to stdout.

use std::io::{self, ErrorKind, Write};

use serde::Serialize;

use crate::failure::{Failure, OrMend};

/// Prints to stdout. Who closes it has seen enough, as `head` has.
///
/// # Errors
///
/// It takes no more, as a full disk.
pub(crate) fn print(
    what: &str,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error)
            .map_err(|error| anyhow::anyhow!("cannot print {what}: {error}"))
            .or_mend("give the command an output that takes it"),
        _ => Ok(()),
    }
}

/// Writes a value as JSON, for programs and for people.
pub(crate) fn json(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)
}
