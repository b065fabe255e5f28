//! What clap says of a command that is misused, in the project's two lines.
//!
//! A crate of its own: the programs that guests reach have `vgpu-terminal`, and no clap.
#![forbid(unsafe_code)]

use clap::error::ErrorKind;
use vgpu_terminal::Failure;

/// Prints help or the version where these were asked for, and ends the process; else, clap's report in two lines.
#[must_use]
pub fn misused(error: &clap::Error) -> Failure {
    if !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        error.exit();
    }
    in_two_lines(&error.to_string())
}

/// What is wrong, and clap's tip where it has one.
fn in_two_lines(report: &str) -> Failure {
    let (cause, rest) = report.split_once("\n\n").unwrap_or((report, ""));
    let cause: Vec<_> = cause.split_whitespace().collect();
    let cause = cause.join(" ");
    let tip = rest
        .lines()
        .find_map(|line| line.trim_start().strip_prefix("tip: "));
    Failure::new(
        cause.trim_start_matches("error: "),
        tip.unwrap_or("add --help to the command, and see what it takes"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_of_usage_is_two_lines() {
        let report = "error: unexpected argument '--qpm'\n  found\n\n  tip: a similar argument exists: '--qmp'\n\nUsage: x";
        let failure = in_two_lines(report);
        assert_eq!(failure.cause, "unexpected argument '--qpm' found");
        assert_eq!(failure.mend, "a similar argument exists: '--qmp'");
        let failure = in_two_lines("error: no subcommand");
        assert_eq!(failure.cause, "no subcommand");
        assert!(failure.mend.starts_with("add --help"), "{}", failure.mend);
    }
}
