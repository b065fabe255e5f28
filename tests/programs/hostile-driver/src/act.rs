//! An act: what is done, and what may come of it.

use vgpu_terminal::Failure;

use crate::guest::Guest;

/// Outcomes that are no code of the mailbox.
#[cfg(test)]
pub(crate) const OTHERS: [&str; 6] = ["done", "busy", "ignored", "reset", "ready", "answered"];

/// A row of the tables.
pub(crate) struct Act {
    pub(crate) name: &'static str,
    /// Outcomes that it may have: names of the mailbox's codes, and a few others.
    pub(crate) expected: &'static [&'static str],
    /// Does it; gives each outcome.
    pub(crate) run: fn(&mut Guest<'_>) -> Result<Vec<String>, Failure>,
}

impl Act {
    pub(crate) fn expects(&self, outcome: &str) -> bool {
        self.expected.contains(&outcome)
    }
}
