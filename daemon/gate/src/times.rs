//! How often times came, in classes that grow with them, as in HdrHistogram: 16 for each power of two, so that a time is
//! known within a sixteenth.

use std::ops::Range;

/// Classes for each power of two, as a power of two.
const FINE: u32 = 4;
/// Times below it are one class, in nanoseconds, as a power of two.
const GRAIN: u32 = 8;
/// The powers of two that are told apart: the last is about three minutes.
const POWERS: u32 = 30;

/// How often times came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Times(Vec<u64>);

impl Default for Times {
    fn default() -> Self {
        Self(vec![0; Self::CLASSES])
    }
}

impl Times {
    /// How many classes there are.
    pub const CLASSES: usize = ((POWERS - FINE + 1) << FINE) as usize;

    /// The class of a time, in nanoseconds.
    #[must_use]
    pub fn class(time: u64) -> usize {
        let grains = time >> GRAIN;
        let power = 63 - (grains | 1).leading_zeros();
        if power < FINE {
            return grains as usize;
        }
        // The first digits behind the highest one.
        let fine = (grains >> (power - FINE)) as usize - (1 << FINE);
        let class = (((power - FINE + 1) as usize) << FINE) + fine;
        class.min(Self::CLASSES - 1)
    }

    /// The times of a class.
    #[must_use]
    pub fn range(class: usize) -> Range<u64> {
        let first = |class: usize| {
            let (step, fine) = (class >> FINE, class & ((1 << FINE) - 1));
            let grains = match step {
                0 => fine as u64,
                step => ((1_u64 << FINE) + fine as u64) << (step - 1),
            };
            grains << GRAIN
        };
        first(class)..first(class + 1)
    }

    /// Adds a time, in nanoseconds.
    pub fn add(&mut self, time: u64) {
        self.add_to(Self::class(time), 1);
    }

    /// Adds to a class, where there is such a one.
    pub fn add_to(&mut self, class: usize, count: u64) {
        if let Some(class) = self.0.get_mut(class) {
            *class = class.saturating_add(count);
        }
    }

    /// Adds others.
    pub fn merge(&mut self, others: &Self) {
        for (class, count) in others.0.iter().enumerate() {
            self.add_to(class, *count);
        }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().fold(0, |sum, it| sum.saturating_add(*it))
    }

    /// How many of them are in classes that end at a time or before it.
    #[must_use]
    pub fn up_to(&self, time: u64) -> u64 {
        let classes = self.0.iter().enumerate();
        let below = classes.filter(|(class, _)| Self::range(*class).end <= time);
        below.fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// The time that so many percent are not above, in nanoseconds: the end of its class. `None` where there is none.
    #[must_use]
    pub fn percentile(&self, percent: u64) -> Option<u64> {
        let count = u128::from(self.count());
        let rank = (count * u128::from(percent)).div_ceil(100).max(1);
        let mut seen = 0;
        let found = self.0.iter().position(|it| {
            seen += u128::from(*it);
            seen >= rank
        });
        found
            .filter(|_| count > 0)
            .map(|class| Self::range(class).end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_follow_each_other_and_hold_their_times() {
        let mut end = 0;
        for class in 0..Times::CLASSES {
            let range = Times::range(class);
            assert_eq!(range.start, end, "{class}");
            end = range.end;
            assert_eq!(Times::class(range.start), class);
            assert_eq!(Times::class(range.end - 1), class);
            // A sixteenth, once the grain is small beside it.
            assert!(
                range.start < 4096 || (range.end - range.start) * 16 <= range.start,
                "{range:?}"
            );
        }
        assert!(end > 180_000_000_000, "{end}");
        assert_eq!(Times::class(u64::MAX), Times::CLASSES - 1);
    }

    #[test]
    fn percentiles_are_within_a_sixteenth() {
        let mut times = Times::default();
        assert_eq!(times.percentile(99), None);
        (1..=1000).for_each(|n| times.add(n * 10_000));
        for (percent, exact) in [
            (50, 5_000_000),
            (95, 9_500_000),
            (99, 9_900_000),
            (100, 10_000_000),
        ] {
            let found = times.percentile(percent).unwrap() as f64 / f64::from(exact);
            assert!((1.0..1.07).contains(&found), "{percent}: {found}");
        }
        let mut twice = times.clone();
        twice.merge(&times);
        assert_eq!(
            (twice.count(), twice.percentile(50)),
            (2000, times.percentile(50))
        );
        assert_eq!((times.up_to(0), times.up_to(u64::MAX)), (0, 1000));
        let half = times.up_to(5_000_000);
        assert!((460..=500).contains(&half), "{half}");
    }

    #[test]
    fn what_a_stranger_wrote_saturates() {
        let mut times = Times::default();
        times.add_to(3, u64::MAX);
        times.add_to(4, u64::MAX);
        times.add_to(usize::MAX, 1);
        assert_eq!(times.count(), u64::MAX);
        assert!(times.percentile(99).is_some());
    }
}
