//! What came of a scenario.

use serde::Serialize;

use crate::{Nanos, Priority};

/// A run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Seconds of its clock.
    pub seconds: f64,
    /// Part of the time that the engine worked.
    pub utilisation: f64,
    /// Jain's index of what machines that always had work got for their weight: 1 is even. `None` where there were less
    /// than two.
    pub jain: Option<f64>,
    /// Its machines.
    pub machines: Vec<Machine>,
}

/// A machine.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Its name, with a number where there are several.
    pub name: String,
    /// Its weight.
    pub weight: u32,
    /// Its priority.
    pub priority: Priority,
    /// Engine time, in milliseconds.
    pub engine_ms: f64,
    /// Part of all engine time that was used.
    pub share: f64,
    /// Kernels that ended.
    pub kernels: u64,
    /// Kernels that came when as many waited as may.
    pub refused: u64,
    /// From when a kernel came until it ended, on average, in milliseconds; `None` where none ended.
    pub latency_ms: Option<f64>,
    /// The 95th percentile of that.
    pub p95_ms: Option<f64>,
    /// The 99th percentile of that.
    pub p99_ms: Option<f64>,
    /// The longest.
    pub longest_ms: Option<f64>,
    /// Sessions that the watchdog ended.
    pub expired: u64,
    /// Whether it is quarantined at the end.
    pub quarantined: bool,
}

pub(super) fn milliseconds(time: Nanos) -> f64 {
    time as f64 / 1e6
}

/// A percentile of sorted times, by the nearest rank.
pub(super) fn percentile(sorted: &[Nanos], percent: usize) -> Option<Nanos> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied()
}

/// Jain, Chiu and Hawe, *A Quantitative Measure of Fairness and Discrimination*, DEC-TR-301, 1984.
pub(super) fn jain(parts: &[f64]) -> Option<f64> {
    let sum: f64 = parts.iter().sum();
    let squares: f64 = parts.iter().map(|part| part * part).sum();
    let index = sum * sum / (parts.len() as f64 * squares);
    (parts.len() > 1 && index.is_finite()).then_some(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let times: Vec<_> = (1..=200).collect();
        assert_eq!(percentile(&times, 99), Some(198));
        assert_eq!(percentile(&times, 50), Some(100));
        assert_eq!(percentile(&[7], 99), Some(7));
        assert_eq!(percentile(&[], 99), None);
    }

    #[test]
    fn an_even_division_has_an_index_of_one() {
        assert_eq!(jain(&[2.0, 2.0, 2.0]), Some(1.0));
        // One of four has all.
        assert_eq!(jain(&[5.0, 0.0, 0.0, 0.0]), Some(0.25));
        assert_eq!(jain(&[5.0]), None);
        assert_eq!(jain(&[0.0, 0.0]), None);
    }
}
