//! What a comparison found, and what it means.

use std::fmt;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use vgpu_bench::{Access, Comparison, Median};
use vgpu_terminal::Failure;

use super::conditions::Conditions;

/// What was measured, and what it means.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Report {
    /// How vgpu-stub got into the guest.
    pub(super) attachment: String,
    /// What was timed.
    pub(super) access: Access,
    /// What vgpu-stub is compared with.
    pub(super) peer: String,
    /// The most that an access to vgpu-stub may cost, in accesses to its peer; nothing was promised without it.
    pub(super) bound: Option<f64>,
    pub(super) verdict: Option<Verdict>,
    /// Median of `ratios`.
    pub(super) ratio: Median,
    /// The median ratio in each guest.
    ratios: Vec<f64>,
    /// Time of an access, in nanoseconds: the median over the guests.
    pub(super) vgpu_stub_ns: f64,
    pub(super) peer_ns: f64,
    #[serde(flatten)]
    conditions: Conditions,
}

/// Where the interval lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    /// All of it below the bound, or on it.
    Below,
    /// On both sides.
    Reaches,
    /// All of it above.
    Above,
}

impl Verdict {
    pub(super) fn new(ratio: &Median, bound: f64) -> Self {
        match () {
            () if ratio.high <= bound => Self::Below,
            () if ratio.low <= bound => Self::Reaches,
            () => Self::Above,
        }
    }

    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Below => "holds: the interval is below it",
            Self::Reaches => "can hold: the interval reaches it",
            Self::Above => "DOES NOT HOLD: the interval is above it",
        }
    }
}

impl Report {
    pub(super) fn new(
        attachment: &str,
        peer: &str,
        bound: Option<f64>,
        boots: &[Comparison],
        conditions: Conditions,
    ) -> Result<Self> {
        let median = |value: fn(&Comparison) -> f64| {
            let values: Vec<f64> = boots.iter().map(value).collect();
            Median::of(&values).context("too few guests")
        };
        let ratio = median(|boot| boot.ratio.value)?;
        Ok(Self {
            attachment: attachment.into(),
            access: boots.first().context("no guest")?.access,
            peer: peer.into(),
            bound,
            verdict: bound.map(|bound| Verdict::new(&ratio, bound)),
            ratio,
            ratios: boots.iter().map(|boot| boot.ratio.value).collect(),
            vgpu_stub_ns: median(|boot| boot.first_ns)?.value,
            peer_ns: median(|boot| boot.second_ns)?.value,
            conditions,
        })
    }
}

/// Prints what was found. An error, if a bound does not hold.
pub(super) fn tell(reports: &[Report], json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(reports)?);
    } else {
        for report in reports {
            println!("\n{report}");
        }
    }
    let above = |report: &&Report| report.verdict == Some(Verdict::Above);
    match reports.iter().find(above) {
        None => Ok(()),
        Some(report) => Err(Failure::new(
            format!(
                "an access to vgpu-stub costs more than the bound allows, against {}",
                report.peer
            ),
            "See where the time goes: strace -c -f -p PID, perf record -p PID.",
        )
        .into()),
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Median { value, low, high } = self.ratio;
        let boots = self.ratios.len();
        let bound = match self.bound.zip(self.verdict) {
            Some((bound, verdict)) => format!("{bound:.3} {}", verdict.words()),
            None => "none".into(),
        };
        let rows = [
            (
                "ratio",
                format!(
                    "{value:.3}, {low:.3} to {high:.3} (median of {boots} guests, 95 % interval)"
                ),
            ),
            ("bound", bound),
            ("vgpu-stub", format!("{:.1} µs", self.vgpu_stub_ns / 1000.0)),
            ("its peer", format!("{:.1} µs", self.peer_ns / 1000.0)),
            ("machine", self.conditions.machine.clone()),
            ("versions", self.conditions.versions()),
            ("command", self.conditions.command.clone()),
        ];
        writeln!(
            f,
            "Cost of a BAR0 {} of vgpu-stub by {}, against {}\n",
            self.access, self.attachment, self.peer
        )?;
        for (name, value) in rows {
            writeln!(f, "  {name:<10} {value}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_interval_above_the_bound_breaks_it() {
        let verdict = |low, high| {
            let ratio = Median {
                value: f64::midpoint(low, high),
                low,
                high,
            };
            Verdict::new(&ratio, 1.0)
        };
        assert_eq!(verdict(0.8, 1.0), Verdict::Below);
        assert_eq!(verdict(1.0, 1.2), Verdict::Reaches);
        assert_eq!(verdict(0.9, 1.01), Verdict::Reaches);
        assert_eq!(verdict(1.001, 1.2), Verdict::Above);
    }
}
