//! Errors as a user reads them: a line of cause, a line of mend.

use thiserror::Error;

/// Why a benchmark could not run.
#[derive(Debug, Error)]
#[error("error: {cause}\n  mend: {mend}")]
pub struct Failure {
    cause: String,
    mend: String,
}

impl Failure {
    /// A failure by `cause`, with what the user can do about it, a sentence.
    #[must_use]
    pub fn new(cause: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            cause: cause.into(),
            mend: mend.into(),
        }
    }
}
