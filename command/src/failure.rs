//! What a user is told when something is wrong.

use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::process::ExitCode;

/// The exit code of a command that could not do its work.
const COULD_NOT_RUN: u8 = 2;
/// The same of a command whose other exit codes are a program's, as in env(1).
const COULD_NOT_RUN_A_PROGRAM: u8 = 125;

/// What is wrong, and what to do: a line each. Names in them are as others chose
/// them until they are printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    cause: String,
    mend: String,
    code: u8,
}

impl Failure {
    pub(crate) fn new(cause: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            cause: cause.into(),
            mend: mend.into(),
            code: COULD_NOT_RUN,
        }
    }

    /// With another exit code.
    pub(crate) fn code(self, code: u8) -> Self {
        Self { code, ..self }
    }

    /// With the exit code of a command that would have passed a program's on.
    pub(crate) fn of_a_program(self) -> Self {
        self.code(COULD_NOT_RUN_A_PROGRAM)
    }

    /// Tells the user, on stderr; gives the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        // Nobody is left to tell when stderr is closed.
        let _ = writeln!(io::stderr(), "error: {}", Printable(&self.cause));
        let _ = writeln!(io::stderr(), "mend:  {}", Printable(&self.mend));
        ExitCode::from(self.code)
    }
}

/// Text that others chose, on one line and without what a terminal would obey:
/// a control character is shown as `\n`, or as `\u{1b}`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Printable<'a>(pub(crate) &'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match is_obeyed(c) {
            true => c.escape_default().try_for_each(|c| f.write_char(c)),
            false => f.write_char(c),
        })
    }
}

/// Also what turns the direction of writing (Unicode Standard Annex 9), and
/// the ends of lines and paragraphs.
fn is_obeyed(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Prints to stdout. Who closes it has seen enough, as `head` has.
///
/// # Errors
/// It takes no more, as a full disk.
pub(crate) fn print(
    write: impl FnOnce(&mut dyn io::Write) -> io::Result<()>,
) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::new(
            format!("cannot print: {error}"),
            "give the command an output that takes it",
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_nothing_of_it() {
        let text = "a 1 \u{1b}[2J\r\n\u{9b}\u{202e}é\\n";
        let shown = Printable(text).to_string();
        assert_eq!(shown, r"a 1 \u{1b}[2J\r\n\u{9b}\u{202e}é\n");
    }
}
