//! How often the process that answers the guest may die.

use std::time::{Duration, Instant};

/// How often within [`WINDOW`].
const DEATHS: usize = 5;
const WINDOW: Duration = Duration::from_secs(10);

/// When it died, or failed to start.
#[derive(Debug, Default)]
pub(crate) struct Deaths(Vec<Instant>);

impl Deaths {
    /// It has died; what was before [`WINDOW`] counts no more.
    pub(crate) fn died(&mut self, now: Instant) {
        self.0
            .retain(|death| now.saturating_duration_since(*death) < WINDOW);
        self.0.push(now);
    }

    /// It has failed to start after it died. However long that took, all before it count.
    pub(crate) fn failed_to_start(&mut self, now: Instant) {
        self.0.push(now);
    }

    pub(crate) fn are_too_many(&self) -> bool {
        self.0.len() > DEATHS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a process takes that hangs as it starts.
    const SLOWLY: Duration = Duration::from_millis(5500);

    #[test]
    fn deaths_now_and_then_are_no_reason_to_give_up() {
        let mut deaths = Deaths::default();
        let mut now = Instant::now();
        for _ in 0..100 {
            deaths.died(now);
            assert!(!deaths.are_too_many());
            now += SLOWLY;
        }
        for _ in 0..DEATHS {
            deaths.died(now);
        }
        assert!(deaths.are_too_many());
    }

    #[test]
    fn failures_in_a_row_are_however_slow() {
        let mut deaths = Deaths::default();
        let mut now = Instant::now();
        deaths.died(now);
        for _ in 0..DEATHS {
            assert!(!deaths.are_too_many());
            now += SLOWLY;
            deaths.failed_to_start(now);
        }
        assert!(deaths.are_too_many());
    }
}
