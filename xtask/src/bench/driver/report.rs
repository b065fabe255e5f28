//! What was measured in a guest, and what it means.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use vgpu_bench::Median;
use vgpu_terminal::Failure;

use crate::bench::conditions::Conditions;
use crate::bench::report::Verdict;

/// The most that each may cost: calls that nobody waits for, those that wait, and a step of a training.
const ASYNCHRONOUS: f64 = 2.0;
const WAITING: f64 = 4.0;
const STEP: f64 = 1.1;

/// What calls and steps are held against.
const ALONE: &str = "the same into memory that nobody reads";
const RECORD: &str = "its record alone into such memory";
const BARE: &str = "a bare round trip of a word";
const LOCAL: &str = "the same engine in the guest";

/// Something that is measured: what the program calls it, what it is, its peer and its bound.
type Kind = (&'static str, &'static str, &'static str, Option<f64>);

/// In the guest.
const CALLS: [Kind; 6] = [
    (
        "cuLaunchKernel",
        "cuLaunchKernel",
        ALONE,
        Some(ASYNCHRONOUS),
    ),
    (
        "cuMemsetD32Async",
        "cuMemsetD32Async",
        ALONE,
        Some(ASYNCHRONOUS),
    ),
    (
        "cuLaunchKernel, record",
        "cuLaunchKernel",
        RECORD,
        Some(ASYNCHRONOUS),
    ),
    (
        "cuMemsetD32Async, record",
        "cuMemsetD32Async",
        RECORD,
        Some(ASYNCHRONOUS),
    ),
    (
        "cuStreamSynchronize",
        "cuStreamSynchronize",
        BARE,
        Some(WAITING),
    ),
    ("cuMemcpyDtoH", "cuMemcpyDtoH", BARE, Some(WAITING)),
];
/// Without a machine.
const HERE: [Kind; 4] = [
    (
        "cuLaunchKernel",
        "cuLaunchKernel, no machine",
        ALONE,
        Some(ASYNCHRONOUS),
    ),
    (
        "cuMemsetD32Async",
        "cuMemsetD32Async, no machine",
        ALONE,
        Some(ASYNCHRONOUS),
    ),
    (
        "cuLaunchKernel, record",
        "cuLaunchKernel, no machine",
        RECORD,
        Some(ASYNCHRONOUS),
    ),
    (
        "cuMemsetD32Async, record",
        "cuMemsetD32Async, no machine",
        RECORD,
        Some(ASYNCHRONOUS),
    ),
];

/// Nanoseconds of something and of its peer, and their ratio, of each time that they were measured.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) ns: Vec<f64>,
    pub(super) peer_ns: Vec<f64>,
    pub(super) ratio: Vec<f64>,
}

/// What `guest/libcuda/examples/driver-cost` prints, by the call.
pub(super) type Calls = BTreeMap<String, Row>;

/// How often each woke while a session did nothing.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Idle {
    pub(super) seconds: u64,
    pub(super) woken: BTreeMap<String, u64>,
}

/// All of it.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    guest: String,
    costs: Vec<Cost>,
    #[serde(skip_serializing_if = "Option::is_none")]
    idle: Option<Idle>,
    #[serde(flatten)]
    conditions: Conditions,
}

/// What something costs.
#[derive(Debug, Serialize)]
struct Cost {
    name: &'static str,
    peer: &'static str,
    ns: Median,
    peer_ns: Median,
    ratio: Median,
    /// None was promised without it.
    bound: Option<f64>,
    verdict: Option<Verdict>,
    values: Row,
}

impl Cost {
    fn new(
        name: &'static str,
        peer: &'static str,
        bound: Option<f64>,
        values: Row,
    ) -> Result<Self> {
        let median = |values: &[f64]| Median::of(values).context("too few values");
        let ratio = median(&values.ratio)?;
        Ok(Self {
            name,
            peer,
            ns: median(&values.ns)?,
            peer_ns: median(&values.peer_ns)?,
            ratio,
            bound,
            verdict: bound.map(|bound| Verdict::new(&ratio, bound)),
            values,
        })
    }
}

impl Cost {
    /// Its bound, and whether that holds.
    fn verdict(&self) -> String {
        let bound = self.bound.zip(self.verdict);
        bound.map_or(String::new(), |(bound, verdict)| {
            format!(", bound {bound}: {}", verdict.words())
        })
    }
}

impl Report {
    pub(super) fn new(
        guest: String,
        calls: Option<&[Calls; 2]>,
        trained: Option<Row>,
        idle: Option<Idle>,
        conditions: Conditions,
    ) -> Result<Self> {
        let mut costs = Vec::new();
        let kinds = calls.into_iter().flat_map(|[calls, here]| {
            let calls = CALLS.iter().map(move |it| (calls, it));
            calls.chain(HERE.iter().map(move |it| (here, it)))
        });
        for (values, (call, name, peer, bound)) in kinds {
            let row = values.get(*call).context(*call)?;
            costs.push(Cost::new(name, peer, *bound, row.clone())?);
        }
        if let Some(trained) = trained {
            let step = "a step of tinygrad's MLP";
            costs.push(Cost::new(step, LOCAL, Some(STEP), trained)?);
        }
        Ok(Self {
            guest,
            costs,
            idle,
            conditions,
        })
    }

    /// As the other comparisons: where the whole interval is above, it does not hold. Who rests wakes not once.
    pub(super) fn ensure_bounds(&self) -> Result<()> {
        let above = self.costs.iter().find_map(|it| {
            let bound = it.bound.filter(|_| it.verdict == Some(Verdict::Above))?;
            let Cost {
                name, peer, ratio, ..
            } = it;
            Some(format!(
                "{name} costs {:.2} times {peer}, not {bound}",
                ratio.value
            ))
        });
        let woken = self.idle.as_ref().and_then(|Idle { seconds, woken }| {
            let (who, times) = woken.iter().find(|(_, times)| **times > 0)?;
            Some(format!(
                "a session did nothing for {seconds} s, and woke: {who}, {times} times"
            ))
        });
        let mend = "Run it again while the machine does nothing else; then look at its parts: cargo xtask bench cuda";
        match above.or(woken) {
            Some(cause) => Err(Failure::new(cause, mend).into()),
            None => Ok(()),
        }
    }
}

/// A time in a unit that fits.
fn time(ns: f64) -> String {
    match ns {
        1e6.. => format!("{:.1} ms", ns / 1e6),
        _ => format!("{ns:.0} ns"),
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "What CUDA costs a guest on the null engine: median, 95 % interval\n"
        )?;
        for cost in &self.costs {
            let Median { value, low, high } = cost.ratio;
            writeln!(
                f,
                "  {:<28} {:>8}; {} {}\n  {:<28} ratio {value:.2} ({low:.2} to {high:.2}){}",
                cost.name,
                time(cost.ns.value),
                cost.peer,
                time(cost.peer_ns.value),
                "",
                cost.verdict(),
            )?;
        }
        let idle = self.idle.as_ref().map(|Idle { seconds, woken }| {
            let woken = woken.iter().map(|(who, times)| format!("{who} {times}"));
            let woken = woken.collect::<Vec<_>>().join(", ");
            ("idle", format!("woken in {seconds} s: {woken}"))
        });
        let rows = [
            ("guest", self.guest.clone()),
            ("machine", self.conditions.machine.clone()),
            ("versions", self.conditions.versions()),
            ("command", self.conditions.command.clone()),
        ];
        writeln!(f)?;
        for (name, value) in idle.into_iter().chain(rows) {
            writeln!(f, "  {name:<9} {value}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conditions() -> Conditions {
        let empty = serde_json::json!({"machine": "", "versions": {}, "command": ""});
        serde_json::from_value(empty).unwrap()
    }

    fn report([launch, wait, step]: [f64; 3], woken: u64) -> Report {
        let row = |ratio: f64| Row {
            ns: vec![ratio * 200.0; 6],
            peer_ns: vec![200.0; 6],
            ratio: vec![ratio; 6],
        };
        let calls = CALLS.map(|(call, _, peer, _)| {
            let ratio = if peer == BARE { wait } else { launch };
            (call.to_owned(), row(ratio))
        });
        let idle = Idle {
            seconds: 10,
            woken: [("server".to_owned(), 0), ("worker".to_owned(), woken)].into(),
        };
        let calls = Calls::from(calls);
        Report::new(
            "q35".into(),
            Some(&[calls.clone(), calls]),
            Some(row(step)),
            Some(idle),
            conditions(),
        )
        .unwrap()
    }

    #[test]
    fn each_bound_is_held() {
        assert!(report([2.0, 4.0, 1.1], 0).ensure_bounds().is_ok());
        for (report, said) in [
            (
                report([2.1, 1.0, 1.0], 0),
                "cuLaunchKernel costs 2.10 times the same into memory that nobody reads, not 2",
            ),
            (
                report([1.0, 4.5, 1.0], 0),
                "cuStreamSynchronize costs 4.50 times a bare round trip of a word, not 4",
            ),
            (
                report([1.0, 1.0, 1.2], 0),
                "a step of tinygrad's MLP costs 1.20 times the same engine in the guest, not 1.1",
            ),
            (
                report([1.0, 1.0, 1.0], 3),
                "a session did nothing for 10 s, and woke: worker, 3 times",
            ),
        ] {
            let error = report.ensure_bounds().unwrap_err();
            assert!(error.to_string().contains(said), "{error}");
        }
        let text = report([1.5, 3.0, 1.0], 0).to_string();
        for said in [
            "300 ns; the same into memory that nobody reads 200 ns",
            "ratio 1.50 (1.50 to 1.50), bound 2: holds",
            "woken in 10 s: server 0, worker 0",
        ] {
            assert!(text.contains(said), "{text}");
        }
    }

    #[test]
    fn what_was_not_measured_is_left_out() {
        let report = Report::new("q35".into(), None, None, None, conditions()).unwrap();
        assert!(report.ensure_bounds().is_ok());
        let text = report.to_string();
        assert!(!text.contains("ratio") && !text.contains("idle"), "{text}");
        let value = serde_json::to_value(&report).unwrap();
        assert!(value.get("idle").is_none(), "{value}");
    }
}
