//! What is being done, for who looks at a terminal.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// How often the line changes.
const EVERY: Duration = Duration::from_millis(200);

/// A line on stderr that goes away again; nothing where that is no terminal.
#[derive(Debug)]
pub(super) struct Progress {
    shown: Option<Instant>,
    terminal: bool,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self {
            shown: None,
            terminal: io::stderr().is_terminal(),
        }
    }

    /// Says how far something is, unless it has just said so.
    pub(super) fn show(&mut self, what: &str, done: u64, all: u64) {
        if !self.terminal || self.shown.is_some_and(|shown| shown.elapsed() < EVERY) {
            return;
        }
        self.shown = Some(Instant::now());
        // Nobody is left to tell when stderr is closed.
        let _ = write!(
            io::stderr(),
            "\r\x1b[K{what}: {} %",
            done * 100 / all.max(1)
        );
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown.is_some() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
