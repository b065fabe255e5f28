//! Errors as a user reads them: the cause, the last lines of the log, where the log is, and what to do.

use std::fmt;
use std::path::PathBuf;

/// An error together with what helps to mend it.
#[derive(Debug)]
pub struct Failure {
    cause: anyhow::Error,
    remedy: Option<String>,
    log: Option<Log>,
}

/// The log of the step that failed.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) step: String,
    pub(crate) path: PathBuf,
    /// The newest lines, oldest first.
    pub(crate) tail: Vec<String>,
}

impl Failure {
    pub(crate) fn in_step(cause: anyhow::Error, log: Log) -> anyhow::Error {
        Self {
            cause,
            remedy: None,
            log: Some(log),
        }
        .into()
    }

    /// What the user can do about `error`, where anything below it says so.
    fn remedy(error: &anyhow::Error) -> Option<&str> {
        let failure = error.downcast_ref::<Self>()?;
        failure
            .remedy
            .as_deref()
            .or_else(|| Self::remedy(&failure.cause))
    }

    fn log(error: &anyhow::Error) -> Option<&Log> {
        let failure = error.downcast_ref::<Self>()?;
        failure.log.as_ref().or_else(|| Self::log(&failure.cause))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(log) = &self.log {
            write!(f, "{}: ", log.step)?;
        }
        write!(f, "{:#}", self.cause)
    }
}

// No `source`: the message above already holds the whole chain.
impl std::error::Error for Failure {}

/// Says what the user can do about an error.
pub trait Mend<T> {
    /// Adds `remedy`, a sentence in the imperative, to the error.
    ///
    /// # Errors
    /// The error of `self`, with the remedy.
    fn mend(self, remedy: impl fmt::Display) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> Mend<T> for Result<T, E> {
    fn mend(self, remedy: impl fmt::Display) -> anyhow::Result<T> {
        self.map_err(|cause| {
            Failure {
                cause: cause.into(),
                remedy: Some(remedy.to_string()),
                log: None,
            }
            .into()
        })
    }
}

/// The text to print for `error`: its cause, the end of the log and where the log is, and what to do.
#[must_use]
pub fn describe(error: &anyhow::Error) -> String {
    let mut text = format!("error: {error:#}");
    if let Some(log) = Failure::log(error) {
        for line in &log.tail {
            text += &format!("\n    | {line}");
        }
        text += &format!("\n  log: {}", log.path.display());
    }
    if let Some(remedy) = Failure::remedy(error) {
        text += &format!("\n  mend: {remedy}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::{Context, anyhow};

    #[test]
    fn every_part_is_found_below_contexts() {
        let error = Err::<(), _>(anyhow!("no space left"))
            .mend("Free some space.")
            .unwrap_err();
        let log = Log {
            step: "Build".into(),
            path: "/tmp/log".into(),
            tail: vec!["last".into()],
        };
        let error = Err::<(), _>(Failure::in_step(error, log))
            .context("demo")
            .unwrap_err();
        assert_eq!(
            describe(&error),
            "error: demo: Build: no space left\n    | last\n  log: /tmp/log\n  mend: Free some space."
        );
    }

    #[test]
    fn a_plain_error_is_one_line() {
        assert_eq!(
            describe(&anyhow!("cause").context("what")),
            "error: what: cause"
        );
    }
}
