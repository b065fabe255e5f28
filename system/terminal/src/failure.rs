//! Why a command could not do its work.

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::Printable;

/// The exit code of a command that could not do its work; clap uses the same one for wrong usage.
pub const COULD_NOT_RUN: u8 = 2;

/// One line of cause and one line of mend: what is wrong, and what to do. Names in them are as others chose them until
/// they are printed. As an error it is its cause; [`describe`] finds the rest below what others say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What is wrong.
    pub cause: String,
    /// What the user can do about it, in the imperative.
    pub mend: String,
    /// What says more, where a step left it.
    log: Option<LogEnd>,
    /// What the process ends with: [`COULD_NOT_RUN`], unless [`Failure::with_code`] says otherwise.
    code: u8,
}

/// The end of the log of what failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEnd {
    /// Where all of it is.
    pub path: PathBuf,
    /// Its newest lines, oldest first.
    pub lines: Vec<String>,
}

impl Failure {
    /// A failure by `cause`, which `mend` does away with.
    #[must_use]
    pub fn new(cause: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            cause: cause.into(),
            mend: mend.into(),
            log: None,
            code: COULD_NOT_RUN,
        }
    }

    /// The failure of a step: `error` in `step`, with the end of the step's log. The mend is the one that is known of
    /// `error`, and else to read that log.
    #[must_use]
    pub fn in_step(step: &str, error: &anyhow::Error, log: LogEnd) -> Self {
        let below = error.downcast_ref::<Self>();
        let mend = below.map_or("see what its log says", |below| &below.mend);
        Self {
            // The log of a step within this one is nearer to the cause.
            log: below.and_then(|below| below.log.clone()).or(Some(log)),
            ..Self::new(format!("{step}: {error:#}"), mend)
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
        let log = lines_of(self.log.as_ref());
        tell(&[self.error_line(), log, self.mend_line()].concat());
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
        let log = lines_of(self.log.as_ref());
        tell(&[self.mend_line(), log, self.error_line()].concat());
        ExitCode::from(self.code)
    }

    fn error_line(&self) -> String {
        format!("error: {}\n", Printable(&self.cause))
    }

    fn mend_line(&self) -> String {
        format!("mend:  {}\n", Printable(&self.mend))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cause)
    }
}

// No `source`: the cause already holds the whole chain.
impl std::error::Error for Failure {}

/// Adds the mend to an error that only knows its cause.
pub trait OrMend<T> {
    /// The same result, whose error has the mend.
    ///
    /// # Errors
    ///
    /// That of the result, with all causes below it in one line.
    fn or_mend(self, mend: impl Into<String>) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> OrMend<T> for Result<T, E> {
    fn or_mend(self, mend: impl Into<String>) -> Result<T, Failure> {
        self.map_err(|error| {
            let error = error.into();
            let below = error.downcast_ref::<Failure>();
            Failure {
                log: below.and_then(|below| below.log.clone()),
                ..Failure::new(format!("{error:#}"), mend)
            }
        })
    }
}

/// What a user reads of an error: its cause, the end of a log and the mend where a [`Failure`] is among what it consists
/// of. It keeps lines apart, so it is for errors that quote no name of others.
#[must_use]
pub fn describe(error: &anyhow::Error) -> String {
    let printable = |text: String| text.lines().map(line).collect::<String>();
    let mut text = printable(format!("error: {error:#}"));
    if let Some(failure) = error.downcast_ref::<Failure>() {
        text += &lines_of(failure.log.as_ref());
        text += &printable(format!("mend:  {}", failure.mend));
    }
    text
}

fn lines_of(log: Option<&LogEnd>) -> String {
    let Some(log) = log else {
        return String::new();
    };
    let newest = log.lines.iter().map(|it| line(&format!("    | {it}")));
    newest.collect::<String>() + &line(&format!("log:   {}", log.path.display()))
}

fn line(text: &str) -> String {
    format!("{}\n", Printable(text))
}

fn tell(text: &str) {
    // Nobody is left to tell when stderr is closed.
    let _ = io::stderr().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::{Context, anyhow};

    fn log() -> LogEnd {
        LogEnd {
            path: "/tmp/log".into(),
            lines: vec!["la\u{1b}st".into()],
        }
    }

    #[test]
    fn every_part_is_found_below_contexts() {
        let error = Err::<(), _>(anyhow!("no space left")).or_mend("free some space");
        let error = Failure::in_step("Build", &error.unwrap_err().into(), log());
        let error = Err::<(), _>(error).context("demo").unwrap_err();
        assert_eq!(
            describe(&error),
            "error: demo: Build: no space left\n    | la\\u{1b}st\nlog:   /tmp/log\nmend:  free some space\n"
        );
    }

    #[test]
    fn another_mend_takes_the_place_of_the_first_and_keeps_the_log() {
        let error = Failure::in_step("Build", &anyhow!("make failed"), log());
        assert_eq!(error.mend, "see what its log says");
        let error = Err::<(), _>(error).or_mend("take another compiler");
        assert_eq!(
            describe(&error.unwrap_err().into()),
            "error: Build: make failed\n    | la\\u{1b}st\nlog:   /tmp/log\nmend:  take another compiler\n"
        );
    }

    #[test]
    fn a_step_within_another_leaves_its_own_log() {
        let inner = Failure::in_step("Compile", &anyhow!("cc failed"), log());
        let outer = LogEnd {
            path: "/tmp/outer".into(),
            lines: Vec::new(),
        };
        let error = Failure::in_step("Build", &inner.into(), outer);
        assert_eq!(error.cause, "Build: Compile: cc failed");
        assert_eq!(error.log, Some(log()));
    }

    #[test]
    fn a_plain_error_is_what_it_says() {
        assert_eq!(
            describe(&anyhow!("cause:\n  more").context("what")),
            "error: what: cause:\n  more\n"
        );
    }

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
