//! A bound on how many lines a log takes.

use std::time::{Duration, Instant};

/// How many lines may come.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// At once, after a quiet time.
    pub burst: u32,
    /// The time after which one more may come.
    pub interval: Duration,
}

/// Lets through as many as the limit says.
#[derive(Debug)]
pub struct Rate {
    limit: Limit,
    left: u32,
    since: Instant,
}

impl Rate {
    /// None has come yet.
    #[must_use]
    pub fn new(limit: Limit, now: Instant) -> Self {
        Self {
            limit,
            left: limit.burst,
            since: now,
        }
    }

    /// Whether a line may come now.
    #[must_use]
    pub fn allows(&mut self, now: Instant) -> bool {
        let Limit { burst, interval } = self.limit;
        let passed = now.saturating_duration_since(self.since);
        let earned = passed.as_nanos().checked_div(interval.as_nanos());
        match u32::try_from(earned.unwrap_or(0)) {
            Ok(0) => {}
            Ok(earned) if earned < burst => {
                self.left = self.left.saturating_add(earned).min(burst);
                self.since = self
                    .since
                    .checked_add(interval.saturating_mul(earned))
                    .unwrap_or(now);
            }
            _ => *self = Self::new(self.limit, now),
        }
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BURST: u32 = 1000;
    const INTERVAL: Duration = Duration::from_millis(10);
    const LIMIT: Limit = Limit {
        burst: BURST,
        interval: INTERVAL,
    };

    fn allowed(rate: &mut Rate, now: Instant) -> u32 {
        (0..10 * BURST).map(|_| u32::from(rate.allows(now))).sum()
    }

    #[test]
    fn a_burst_then_a_steady_rate() {
        let start = Instant::now();
        let mut rate = Rate::new(LIMIT, start);
        assert_eq!(allowed(&mut rate, start), BURST);
        let after = |time| start + time;
        assert_eq!(allowed(&mut rate, after(INTERVAL / 2)), 0);
        assert_eq!(allowed(&mut rate, after(INTERVAL * 5 / 2)), 2);
        // The half interval is not lost.
        assert_eq!(allowed(&mut rate, after(INTERVAL * 3)), 1);
        assert_eq!(allowed(&mut rate, after(Duration::from_secs(3600))), BURST);
    }
}
