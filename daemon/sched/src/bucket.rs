//! A token bucket whose tokens are nanoseconds of engine time.

use crate::{Nanos, Rate};

/// A token is a millionth of a nanosecond, so that nothing is lost by rounding.
const TOKENS: i128 = 1_000_000;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    rate: Rate,
    /// Below 0 where more was taken than there was.
    tokens: i128,
    /// When that was so.
    at: Nanos,
}

impl Bucket {
    /// A full one.
    pub(crate) fn new(rate: Rate, now: Nanos) -> Self {
        Self {
            rate,
            tokens: i128::from(rate.burst) * TOKENS,
            at: now,
        }
    }

    /// The same, filled as it is, under another rate.
    pub(crate) fn with(mut self, rate: Rate, now: Nanos) -> Self {
        self.fill(now);
        self.rate = rate;
        self.tokens = self.tokens.min(i128::from(rate.burst) * TOKENS);
        self
    }

    fn fill(&mut self, now: Nanos) {
        let elapsed = now.saturating_sub(self.at);
        let more = i128::from(elapsed) * i128::from(self.rate.millionths);
        let most = i128::from(self.rate.burst) * TOKENS;
        self.tokens = (self.tokens + more).min(most);
        self.at = self.at.max(now);
    }

    /// Engine time that there is: 0 where it has to wait.
    pub(crate) fn available(&mut self, now: Nanos) -> Nanos {
        self.fill(now);
        Nanos::try_from(self.tokens.max(0) / TOKENS).unwrap_or(Nanos::MAX)
    }

    /// Takes what was used, whether it was there or not.
    pub(crate) fn take(&mut self, used: Nanos, now: Nanos) {
        self.fill(now);
        self.tokens -= i128::from(used) * TOKENS;
    }

    /// The most that it holds.
    pub(crate) const fn burst(&self) -> Nanos {
        self.rate.burst
    }

    /// When there will be `least` of engine time, or as much as there ever is.
    pub(crate) fn ready_at(&mut self, least: Nanos, now: Nanos) -> Nanos {
        self.fill(now);
        let least = least.min(self.rate.burst);
        let missing = i128::from(least) * TOKENS - self.tokens;
        let wait = missing.max(0) / i128::from(self.rate.millionths.max(1)) + 1;
        now.saturating_add(Nanos::try_from(wait).unwrap_or(Nanos::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_gives_its_rate_and_saves_no_more_than_its_burst() {
        let rate = Rate {
            millionths: 250_000,
            burst: 1000,
        };
        let mut bucket = Bucket::new(rate, 0);
        assert_eq!(bucket.available(1_000_000), 1000);
        bucket.take(3000, 1_000_000);
        assert_eq!(bucket.available(1_000_000), 0);
        // 2,000 are owed, and 100 asked for.
        let ready = bucket.ready_at(100, 1_000_000);
        assert_eq!(ready, 1_000_000 + 4 * 2100 + 1);
        assert_eq!(bucket.available(ready), 100);
        // More than it can ever hold is never waited for.
        assert_eq!(bucket.ready_at(5000, ready), ready + 4 * 900 + 1 - 1);
        assert_eq!(bucket.available(Nanos::MAX), 1000);
    }

    #[test]
    fn a_clock_that_goes_back_fills_nothing() {
        let rate = Rate {
            millionths: 1_000_000,
            burst: 100,
        };
        let mut bucket = Bucket::new(rate, 1000);
        bucket.take(100, 1000);
        assert_eq!(bucket.available(10), 0);
        assert_eq!(bucket.available(1010), 10);
    }

    #[test]
    fn a_rate_that_changes_keeps_what_is_owed() {
        let rate = |millionths, burst| Rate { millionths, burst };
        let mut bucket = Bucket::new(rate(100_000, 100), 0);
        bucket.take(300, 0);
        let mut bucket = bucket.with(rate(1_000_000, 50), 0);
        assert_eq!(bucket.available(200), 0);
        assert_eq!(bucket.available(1000), 50);
    }
}
