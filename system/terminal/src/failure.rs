//! Why a command could not do its work.

use std::io::{self, Write};
use std::process::ExitCode;

use crate::Printable;

/// The exit code of a command that could not do its work; clap uses the same one for wrong usage.
pub const COULD_NOT_RUN: u8 = 2;

/// One line of cause and one line of mend: what is wrong, and what to do. Names in them are as others chose them until
/// they are printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What is wrong.
    pub cause: String,
    /// What the user can do about it, in the imperative.
    pub mend: String,
    /// What the process ends with: [`COULD_NOT_RUN`], unless [`Failure::with_code`] says otherwise.
    code: u8,
}

impl Failure {
    /// A failure by `cause`, which `mend` does away with.
    #[must_use]
    pub fn new(cause: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            cause: cause.into(),
            mend: mend.into(),
            code: COULD_NOT_RUN,
        }
    }

    /// A wrong call, of the report that clap makes of it: what is wrong in one line, and clap's tip where it has one.
    #[must_use]
    pub fn of_usage(report: &str) -> Self {
        let (cause, rest) = report.split_once("\n\n").unwrap_or((report, ""));
        let cause: Vec<_> = cause.split_whitespace().collect();
        let cause = cause.join(" ");
        let tip = rest
            .lines()
            .find_map(|line| line.trim_start().strip_prefix("tip: "));
        Self::new(
            cause.trim_start_matches("error: "),
            tip.unwrap_or("add --help to the command, and see what it takes"),
        )
    }

    /// The same with another exit code.
    #[must_use]
    pub fn with_code(self, code: u8) -> Self {
        Self { code, ..self }
    }

    /// Tells the user, on stderr.
    pub fn print(&self) {
        self.tell([("error: ", &self.cause), ("mend:  ", &self.mend)]);
    }

    /// The same, and gives the exit code.
    #[must_use]
    pub fn report(&self) -> ExitCode {
        self.print();
        ExitCode::from(self.code)
    }

    /// The same for the reader of a log, who looks at its last line first.
    #[must_use]
    pub fn report_cause_last(&self) -> ExitCode {
        self.tell([("mend:  ", &self.mend), ("error: ", &self.cause)]);
        ExitCode::from(self.code)
    }

    fn tell(&self, lines: [(&str, &str); 2]) {
        for (what, text) in lines {
            // Nobody is left to tell when stderr is closed.
            let _ = writeln!(io::stderr(), "{what}{}", Printable(text));
        }
    }
}

/// Adds the mend to an error that only knows its cause.
pub trait OrMend<T> {
    /// The same result, whose error has the mend.
    ///
    /// # Errors
    ///
    /// That of the result, with all causes below it in one line.
    fn or_mend(self, mend: &str) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> OrMend<T> for Result<T, E> {
    fn or_mend(self, mend: &str) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(format!("{:#}", error.into()), mend))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_of_usage_is_two_lines() {
        let report = "error: unexpected argument '--qpm'\n  found\n\n  tip: a similar argument exists: '--qmp'\n\nUsage: x";
        let failure = Failure::of_usage(report);
        assert_eq!(failure.cause, "unexpected argument '--qpm' found");
        assert_eq!(failure.mend, "a similar argument exists: '--qmp'");
        let failure = Failure::of_usage("error: no subcommand");
        assert_eq!(failure.cause, "no subcommand");
        assert!(failure.mend.starts_with("add --help"), "{}", failure.mend);
    }
}
