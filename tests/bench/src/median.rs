//! The median of a sample, and how far it can be trusted.

use serde::{Deserialize, Serialize};

/// Probability that the population's median lies outside the interval, on
/// either side.
const TAIL: f64 = 0.025;

/// A median with its 95 % confidence interval.
///
/// The interval's ends are two of the values (order statistics): as each value
/// is as likely above as below the population's median, the number of those
/// below is binomial, whatever the distribution. Values are taken to be
/// independent of each other.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Median {
    /// The sample's median.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

impl Median {
    /// The fewest values that have such an interval.
    pub const FEWEST: usize = 6;

    /// The median of `values`; `None` if there are fewer than
    /// [`FEWEST`](Self::FEWEST).
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let outside = outside(sorted.len())?;
        Some(Self {
            value: middle(&sorted)?,
            low: *sorted.get(outside)?,
            high: *sorted.iter().rev().nth(outside)?,
        })
    }
}

/// The middle of a sorted sample.
fn middle(sorted: &[f64]) -> Option<f64> {
    let upper = sorted.get(sorted.len() / 2)?;
    let lower = sorted.get((sorted.len() - 1) / 2)?;
    Some(f64::midpoint(*lower, *upper))
}

/// How many of `count` sorted values may be left out at each end: the largest
/// number for which as many or fewer heads in `count` tosses of a coin have a
/// probability of at most [`TAIL`].
fn outside(count: usize) -> Option<usize> {
    let count = count as f64;
    let mut heads = 0.0;
    // As a logarithm, since it is 0 for a double from 1075 tosses on.
    let mut exactly = -count * 2f64.ln();
    let mut at_most = exactly.exp();
    while at_most <= TAIL {
        exactly += ((count - heads) / (heads + 1.0)).ln();
        heads += 1.0;
        at_most += exactly.exp();
    }
    (heads >= 1.0).then(|| heads as usize - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ranks_are_those_of_the_tables() {
        // As in tables of the binomial distribution; counted from 0.
        for (count, expected) in [
            (6, 0),
            (8, 0),
            (9, 1),
            (10, 1),
            (20, 5),
            (50, 17),
            (100, 39),
        ] {
            assert_eq!(outside(count), Some(expected), "{count}");
        }
        assert_eq!(outside(Median::FEWEST - 1), None);
        // n / 2 - 1.96 sqrt(n) / 2, for a large n.
        assert_eq!(outside(10_000), Some(4901));
    }

    #[test]
    fn the_interval_is_around_the_median() {
        let values: Vec<f64> = (1..=20).rev().map(f64::from).collect();
        let expected = Median {
            value: 10.5,
            low: 6.0,
            high: 15.0,
        };
        assert_eq!(Median::of(&values), Some(expected));
        assert_eq!(
            Median::of(&values[..19]).map(|median| median.value),
            Some(11.0)
        );
        assert_eq!(Median::of(&values[..Median::FEWEST - 1]), None);
        assert_eq!(Median::of(&[]), None);
    }
}
