//! What CUDA calls cost a program, against a cache line that the same two threads pass to and fro, and how many launches go
//! through, against the same engine in one process.

use std::fmt;

use anyhow::{Context, Result, anyhow};
use clap::Args;
use serde::{Deserialize, Serialize};
use vgpu_bed::process;
use vgpu_bed::steps::Steps;
use vgpu_bench::Median;
use vgpu_terminal::Failure;

use super::EXAMPLES;
use super::conditions::Conditions;
use super::report::Verdict;
use crate::checkout;

/// The most that a call may cost, in round trips of a bare cache line.
const LAUNCH: f64 = 1.0;
const WAITING: f64 = 4.0;

/// Measure what CUDA calls cost a program on the null engine, against a bare cache line
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// How many times to measure, some seconds apart; they are the sample
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(Median::FEWEST as i64..=1000))]
    runs: u32,

    /// Print JSON, with the values of each run
    #[arg(long)]
    json: bool,
}

/// What `guest/libcuda/benches/calls.rs` prints: nanoseconds, of each run.
#[derive(Debug, Serialize, Deserialize)]
struct Values {
    bare: Vec<f64>,
    launch: Vec<f64>,
    waiting: Vec<f64>,
    /// Of each run, the median ratio of its batches to the bare one beside it.
    launch_ratio: Vec<f64>,
    waiting_ratio: Vec<f64>,
    /// What 99 of 100 are below, each timed by itself.
    bare_p99: Vec<f64>,
    launch_p99: Vec<f64>,
    waiting_p99: Vec<f64>,
    /// Launches in a second, over seconds, and of the engine called in the program's process.
    sustained: Vec<f64>,
    direct: Vec<f64>,
    /// Of a launch in the program's process, where the processor tells.
    launch_instructions: Option<u64>,
}

/// What was measured, and what it means.
#[derive(Debug, Serialize)]
struct Report {
    bare_ns: Median,
    bare_p99_ns: Median,
    calls: [Call; 2],
    rate: Rate,
    values: Values,
    #[serde(flatten)]
    conditions: Conditions,
}

/// How many launches go through in a second.
#[derive(Debug, Serialize)]
struct Rate {
    sustained: Median,
    direct: Median,
    /// Of the two, in the same run.
    ratio: Median,
}

/// What a kind of call costs.
#[derive(Debug, Serialize)]
struct Call {
    name: &'static str,
    ns: Median,
    p99_ns: Median,
    /// In round trips of the cache line, in the same run.
    ratio: Median,
    bound: f64,
    verdict: Verdict,
}

pub(super) fn run(options: &Options, steps: &Steps) -> Result<()> {
    let bench = ["bench", "--package", "vgpu-libcuda", "--bench", "calls"];
    steps.step("Build the library and the benchmark", |step| {
        step.run(
            process::cargo()
                .current_dir(checkout())
                .args(bench)
                .arg("--no-run"),
        )
    })?;
    let values = steps.step("Measure calls", |_| {
        let mut cargo = process::cargo();
        cargo.current_dir(checkout()).args(bench);
        cargo.args(["--quiet", "--", &options.runs.to_string()]);
        let output = cargo.output().context("cannot run cargo")?;
        serde_json::from_slice::<Values>(&output.stdout).map_err(|_| {
            let said = String::from_utf8_lossy(&output.stderr);
            anyhow!("the benchmark failed ({}): {}", output.status, said.trim())
        })
    })?;
    let report = Report::new(values, Conditions::of_checkout()?)?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("\n{report}");
    }
    report.ensure_bounds()
}

fn median(values: &[f64]) -> Result<Median> {
    Median::of(values).context("too few runs")
}

impl Rate {
    fn new(sustained: &[f64], direct: &[f64]) -> Result<Self> {
        let pairs = sustained.iter().zip(direct);
        let ratios: Vec<_> = pairs
            .map(|(sustained, direct)| sustained / direct)
            .collect();
        Ok(Self {
            sustained: median(sustained)?,
            direct: median(direct)?,
            ratio: median(&ratios)?,
        })
    }
}

impl Call {
    fn new(name: &'static str, bound: f64, [ns, p99, ratios]: [&[f64]; 3]) -> Result<Self> {
        let ratio = median(ratios)?;
        Ok(Self {
            name,
            ns: median(ns)?,
            p99_ns: median(p99)?,
            ratio,
            bound,
            verdict: Verdict::new(&ratio, bound),
        })
    }
}

impl Report {
    fn new(values: Values, conditions: Conditions) -> Result<Self> {
        Ok(Self {
            bare_ns: median(&values.bare)?,
            bare_p99_ns: median(&values.bare_p99)?,
            calls: [
                Call::new(
                    "asynchronous launch",
                    LAUNCH,
                    [&values.launch, &values.launch_p99, &values.launch_ratio],
                )?,
                Call::new(
                    "waiting call",
                    WAITING,
                    [&values.waiting, &values.waiting_p99, &values.waiting_ratio],
                )?,
            ],
            rate: Rate::new(&values.sustained, &values.direct)?,
            values,
            conditions,
        })
    }

    /// As the other comparisons: where the whole interval is above, it does not hold.
    fn ensure_bounds(&self) -> Result<()> {
        match self.calls.iter().find(|call| call.verdict == Verdict::Above) {
            None => Ok(()),
            Some(call) => Err(Failure::new(format!("a{} {} costs {:.2} round trips of a cache line, not {}",
                if call.name.starts_with('a') { "n" } else { "" },
                call.name,
                call.ratio.value,
                call.bound), "Run it again while the machine does nothing else; then look at its parts: cargo bench -p vgpu-ring").into()),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "What CUDA calls cost on the null engine: median of {} runs, 95 % interval\n",
            self.values.bare.len()
        )?;
        let time = |name: &str, ns: Median, p99: Median| {
            let Median { value, low, high } = ns;
            let p99 = p99.value;
            format!("  {name:20} {value:6.0} ns ({low:.0} to {high:.0}), p99 {p99:.0} ns")
        };
        writeln!(
            f,
            "{}",
            time("bare cache line", self.bare_ns, self.bare_p99_ns)
        )?;
        for call in &self.calls {
            let Median { value, low, high } = call.ratio;
            writeln!(
                f,
                "{}; ratio {value:.2} ({low:.2} to {high:.2}), bound {}: {}",
                time(call.name, call.ns, call.p99_ns),
                call.bound,
                call.verdict.words()
            )?;
        }
        let Median { value, low, high } = self.rate.ratio;
        writeln!(
            f,
            "\n  Launches in a second: {:.1} million, sustained; {:.1} million where the engine is called in one process: \
             ratio {value:.2} ({low:.2} to {high:.2})",
            self.rate.sustained.value / 1e6,
            self.rate.direct.value / 1e6,
        )?;
        if let Some(instructions) = self.values.launch_instructions {
            writeln!(f, "\n  A launch is {instructions} instructions.")?;
        }
        writeln!(
            f,
            "\n{}; {}",
            self.conditions.machine,
            self.conditions.versions()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_interval_has_to_be_above_to_break_a_bound() {
        let conditions = || {
            serde_json::from_value(
                serde_json::json!({"machine": "", "versions": {}, "command": ""}),
            )
            .unwrap()
        };
        let report = |waiting: f64| {
            let values = Values {
                bare: vec![100.0; 12],
                launch: vec![90.0; 12],
                waiting: vec![waiting; 12],
                launch_ratio: vec![0.9; 12],
                waiting_ratio: (0..12)
                    .map(|n| (waiting + 2.0 * f64::from(n)) / 100.0)
                    .collect(),
                bare_p99: vec![200.0; 12],
                launch_p99: vec![310.0; 12],
                waiting_p99: vec![700.0; 12],
                sustained: vec![5e6; 12],
                direct: vec![2e7; 12],
                launch_instructions: Some(300),
            };
            Report::new(values, conditions()).unwrap()
        };
        assert!(report(300.0).ensure_bounds().is_ok());
        assert!(report(395.0).ensure_bounds().is_ok());
        let error = report(500.0).ensure_bounds().unwrap_err().to_string();
        assert_eq!(
            error,
            "a waiting call costs 5.11 round trips of a cache line, not 4"
        );
        let text = report(500.0).to_string();
        for words in [
            "90 ns (90 to 90), p99 310 ns; ratio 0.90 (0.90 to 0.90), bound 1: holds",
            "5.0 million, sustained; 20.0 million where the engine is called in one process: ratio 0.25 (0.25 to 0.25)",
        ] {
            assert!(text.contains(words), "{text}");
        }
    }
}
