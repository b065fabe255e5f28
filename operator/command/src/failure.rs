//! What a user is told when something is wrong.

use std::io::{self, Write};

use crate::printable::Printable;

/// One line of cause and one line of mend: what is wrong, and what to do. Names
/// in them are as others chose them until they are printed.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) cause: String,
    pub(crate) mend: String,
}

impl Failure {
    pub(crate) fn new(cause: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            cause: cause.into(),
            mend: mend.into(),
        }
    }

    /// Tells the user, on stderr.
    pub(crate) fn print(&self) {
        // Nobody is left to tell when stderr is closed.
        let _ = writeln!(io::stderr(), "error: {}", Printable(&self.cause));
        let _ = writeln!(io::stderr(), "mend:  {}", Printable(&self.mend));
    }

    /// Tells the reader of a log, who looks at its last line first.
    pub(crate) fn print_cause_last(&self) {
        let _ = writeln!(io::stderr(), "mend:  {}", Printable(&self.mend));
        let _ = writeln!(io::stderr(), "error: {}", Printable(&self.cause));
    }
}

/// Adds the mend to an error that only knows its cause.
pub(crate) trait OrMend<T> {
    fn or_mend(self, mend: &str) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> OrMend<T> for Result<T, E> {
    fn or_mend(self, mend: &str) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(format!("{:#}", error.into()), mend))
    }
}
