//! The daemon's log: what workers say is theirs, and has bounds.

use std::fmt;
use std::time::Instant;

use crate::budget::Budget;

/// Bytes that workers may log together at once,
const AT_ONCE: u64 = 64 << 10;
/// and then in a second.
const A_SECOND: u64 = 4 << 10;

/// What all workers may still log.
#[derive(Debug)]
pub(crate) struct Log {
    budget: Budget,
    /// Lines that were left out since the last one.
    missing: u64,
}

impl Log {
    pub(crate) fn new() -> Self {
        Self {
            budget: Budget::new(AT_ONCE, A_SECOND),
            missing: 0,
        }
    }

    /// Never writes one.
    #[cfg(feature = "fuzz")]
    pub(crate) fn silent() -> Self {
        Self {
            budget: Budget::new(0, 0),
            missing: 0,
        }
    }

    /// Writes a line, or leaves it out where there were too many.
    pub(crate) fn line(&mut self, line: fmt::Arguments<'_>) {
        if let Some(text) = self.take(&line.to_string(), Instant::now()) {
            eprint!("{text}");
        }
    }

    /// What is to be written for a line.
    fn take(&mut self, line: &str, now: Instant) -> Option<String> {
        let mut text = match self.missing {
            0 => String::new(),
            missing => format!("vgpud: {missing} lines of workers are left out\n"),
        };
        text.push_str("vgpud: ");
        text.push_str(line);
        text.push('\n');
        if self.budget.take(text.len() as u64, now) {
            self.missing = 0;
            Some(text)
        } else {
            self.missing += 1;
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_flood_is_cut_and_counted() {
        let mut log = Log::new();
        let start = log.budget.at();
        let line = "x".repeat(1000);
        let written = |log: &mut Log, at: Duration| {
            let lines = (0..200).filter_map(|_| log.take(&line, start + at));
            lines.map(|text| text.len() as u64).sum::<u64>()
        };
        let first = written(&mut log, Duration::ZERO);
        assert!((AT_ONCE - 1100..=AT_ONCE).contains(&first), "{first}");
        assert_eq!(written(&mut log, Duration::from_millis(900)), 0);
        let next = log.take("y", start + Duration::from_secs(1)).unwrap();
        assert_eq!(next, "vgpud: 335 lines of workers are left out\nvgpud: y\n");
        // However long it was silent.
        assert!(written(&mut log, Duration::from_secs(1 << 30)) <= AT_ONCE);
    }
}
