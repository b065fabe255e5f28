//! What was changed is put back, whatever happens in between.

use std::io::{self, Write};

use anyhow::Result;

/// What to do where it cannot be put back.
pub(super) const MEND: &str = "reboot the guest: the device is not as it was";

/// Puts something back when it goes out of scope.
///
/// The last step of a success calls [`finish`](Self::finish), which tells of
/// an error. After an early return, where another error is already on its
/// way, the drop does the same work and warns on stderr.
#[must_use]
pub(super) struct Undo<F: FnOnce() -> Result<()>> {
    action: Option<F>,
}

impl<F: FnOnce() -> Result<()>> Undo<F> {
    pub(super) fn new(action: F) -> Self {
        Self {
            action: Some(action),
        }
    }

    pub(super) fn finish(mut self) -> Result<()> {
        self.action.take().map_or(Ok(()), |action| action())
    }
}

impl<F: FnOnce() -> Result<()>> Drop for Undo<F> {
    fn drop(&mut self) {
        if let Some(action) = self.action.take()
            && let Err(error) = action()
        {
            // Nobody is left to tell when stderr is closed.
            let _ = writeln!(io::stderr(), "warning: not put back: {error:#}");
        }
    }
}
