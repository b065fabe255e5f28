//! How much may be written, so that nobody fills a disk.

use std::time::Instant;

/// Bytes that may be written at once, and then in a second.
#[derive(Debug)]
pub(crate) struct Budget {
    at_once: u64,
    a_second: u64,
    left: u64,
    /// When `left` was right.
    at: Instant,
}

impl Budget {
    pub(crate) fn new(at_once: u64, a_second: u64) -> Self {
        Self {
            at_once,
            a_second,
            left: at_once,
            at: Instant::now(),
        }
    }

    /// When it began, or was filled last.
    #[cfg(test)]
    pub(crate) fn at(&self) -> Instant {
        self.at
    }

    /// Whether there is so much left; then it is taken.
    pub(crate) fn take(&mut self, bytes: u64, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.at).as_millis();
        let more = u64::try_from(passed).unwrap_or(u64::MAX) / 1000 * self.a_second;
        if more > 0 {
            self.left = self.left.saturating_add(more).min(self.at_once);
            self.at = now;
        }
        let left = self.left.checked_sub(bytes);
        self.left = left.unwrap_or(self.left);
        left.is_some()
    }
}
