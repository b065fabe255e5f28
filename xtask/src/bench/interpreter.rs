//! How fast the CPU engine executes kernels: lane-instructions of a core in a second, and OpenCL kernels against pocl, which
//! compiles them to native code.

use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde::Serialize;
use vgpu_bed::cache::Cache;
use vgpu_bed::host_packages::{self, Package};
use vgpu_bed::process;
use vgpu_bed::steps::Steps;
use vgpu_bench::Median;
use vgpu_terminal::Failure;

use super::EXAMPLES;
use super::conditions::Conditions;
use crate::checkout;
use crate::cuda::Python;

/// Lane-instructions of a core in a nanosecond, as the geometric mean of all kernels: the least.
const LEAST: f64 = 0.5;
/// How much longer than on pocl a kernel may take.
const SLOWER: f64 = 10.0;

/// Measure how fast the CPU engine executes kernels, OpenCL's against pocl
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// How many times to measure each kernel; they are the sample
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(Median::FEWEST as i64..=1000))]
    runs: u32,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What was measured, and what it means.
#[derive(Debug, Serialize)]
struct Report {
    /// The geometric mean over all kernels.
    lane_instructions_per_ns: f64,
    least: f64,
    /// The most that a kernel may take, in times of pocl.
    slower_at_most: f64,
    kernels: Vec<Kernel>,
    peer: String,
    #[serde(flatten)]
    conditions: Conditions,
}

/// One kernel on one thread.
#[derive(Debug, Serialize)]
struct Kernel {
    name: String,
    /// Of a launch.
    lane_instructions: f64,
    /// Processor time of a launch.
    ns: Median,
    peer: Option<Peer>,
}

#[derive(Debug, Serialize)]
struct Peer {
    ns: Median,
    /// Our time by the peer's, in each run.
    ratio: Median,
    /// The largest difference of a value to ours, by the largest value.
    difference: f64,
}

/// A process that measures what it is told by name, a line each.
struct Measuring {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Measuring {
    fn start(command: &mut Command) -> Result<Self> {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let to = process.stdin.take().context("no input")?;
        let from = BufReader::new(process.stdout.take().context("no output")?);
        Ok(Self { process, to, from })
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(self.from.read_line(&mut line)? > 0, "it ended");
        Ok(line.trim().to_string())
    }

    /// The numbers that come for a name.
    fn measure(&mut self, name: &str) -> Result<Vec<f64>> {
        writeln!(self.to, "{name}")?;
        let line = self.line()?;
        let numbers = line.split(' ').skip(1);
        numbers
            .map(|word| word.parse().with_context(|| line.clone()))
            .collect()
    }
}

impl Drop for Measuring {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

pub(super) fn run(options: &Options, steps: &Steps) -> Result<()> {
    let cache = Cache::open()?;
    let pocl = Package::file("pocl-opencl-icd", "/etc/OpenCL/vendors/pocl.icd");
    host_packages::ensure(&[pocl], steps)?;
    let python = Python::with("pyopencl", &cache, steps)?;
    let bench = ["bench", "--package", "vgpu-simt", "--bench", "interpreter"];
    steps.step("Build the benchmark", |step| {
        step.run(
            process::cargo()
                .current_dir(checkout())
                .args(bench)
                .arg("--no-run"),
        )
    })?;
    let folder = tempfile::tempdir()?;
    let report = steps.step("Measure kernels", |step| {
        let mut ours = process::cargo();
        ours.current_dir(checkout()).args(bench);
        ours.args(["--quiet", "--"]).arg(folder.path());
        let mut ours = Measuring::start(&mut ours)?;
        let names = ours.line().context("the benchmark does not start")?;
        let mut script = python.script("opencl_on_pocl.py");
        script
            .arg(folder.path())
            .arg(checkout().join("tests/corpus/opencl/kernels.cl"));
        let mut peer = Measuring::start(&mut script)?;
        let said = peer.line().context("pocl does not start")?;
        let mut differences: Vec<(String, f64)> = Vec::new();
        loop {
            let line = peer.line().context("pocl fails")?;
            match line.split_once(' ') {
                Some((name, number)) => differences.push((name.to_string(), number.parse()?)),
                None => break,
            }
        }
        let mut kernels = Vec::new();
        for name in names.split(' ') {
            step.say(name);
            let short = name.strip_prefix("opencl/");
            let difference = differences.iter().find(|(n, _)| Some(n.as_str()) == short);
            let mut measure = |peer| Kernel::measure(name, options.runs, &mut ours, peer);
            kernels.push(match difference {
                Some((name, difference)) => measure(Some((&mut peer, name, *difference)))?,
                None => measure(None)?,
            });
        }
        Report::new(kernels, said)
    })?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("\n{report}");
    }
    report.ensure_bounds()
}

impl Kernel {
    /// Ours and the peer's in turns.
    fn measure(
        name: &str,
        runs: u32,
        ours: &mut Measuring,
        mut peer: Option<(&mut Measuring, &str, f64)>,
    ) -> Result<Self> {
        let (mut times, mut peers, mut ratios, mut lanes) = (vec![], vec![], vec![], 0.0);
        for _ in 0..runs {
            let [count, time] = ours.measure(name)?[..] else {
                anyhow::bail!("two numbers of {name}");
            };
            lanes = count;
            times.push(time);
            if let Some((peer, name, _)) = &mut peer {
                let [time] = peer.measure(name)?[..] else {
                    anyhow::bail!("one number of {name}");
                };
                peers.push(time);
                ratios.push(times[times.len() - 1] / time);
            }
        }
        let median = |values: &[f64]| Median::of(values).context("too few runs");
        Ok(Self {
            name: name.into(),
            lane_instructions: lanes,
            ns: median(&times)?,
            peer: match peer {
                None => None,
                Some((_, _, difference)) => Some(Peer {
                    ns: median(&peers)?,
                    ratio: median(&ratios)?,
                    difference,
                }),
            },
        })
    }

    fn speed(&self) -> f64 {
        self.lane_instructions / self.ns.value
    }
}

impl Report {
    fn new(kernels: Vec<Kernel>, peer: String) -> Result<Self> {
        let sum: f64 = kernels.iter().map(|kernel| kernel.speed().ln()).sum();
        Ok(Self {
            lane_instructions_per_ns: (sum / kernels.len() as f64).exp(),
            least: LEAST,
            slower_at_most: SLOWER,
            kernels,
            peer,
            conditions: Conditions::of_checkout()?,
        })
    }

    fn ensure_bounds(&self) -> Result<()> {
        let mend = "Run it again while the machine does nothing else; then look where a kernel's time goes: perf record";
        let mean = self.lane_instructions_per_ns;
        if mean < LEAST {
            let text = format!("{mean:.2} G lane-instructions in a second, not {LEAST}");
            return Err(Failure::new(text, mend).into());
        }
        let peers = self
            .kernels
            .iter()
            .filter_map(|kernel| Some((kernel, kernel.peer.as_ref()?)));
        for (Kernel { name, .. }, peer) in peers {
            if peer.difference > 1e-4 {
                let text = format!("pocl has other values of {name}: {:e}", peer.difference);
                return Err(
                    Failure::new(text, "Run: cargo test -p vgpu-simt --test opencl").into(),
                );
            }
            if peer.ratio.low > SLOWER {
                let text = format!(
                    "{name} takes {:.1} times as long as on pocl",
                    peer.ratio.value
                );
                return Err(Failure::new(text, mend).into());
            }
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "How fast the CPU engine executes kernels, on one thread; the peer is {}\n",
            self.peer
        )?;
        writeln!(
            f,
            "  {:24} {:>12} {:>12} {:>12}   ratio (95 % interval)",
            "kernel", "G lanes/s", "µs", "peer µs"
        )?;
        for kernel in &self.kernels {
            let (name, speed, time) = (&kernel.name, kernel.speed(), kernel.ns.value / 1e3);
            write!(f, "  {name:24} {speed:12.2} {time:12.1}")?;
            match &kernel.peer {
                None => writeln!(f)?,
                Some(Peer { ns, ratio, .. }) => writeln!(
                    f,
                    " {:12.1}   {:.2} ({:.2} to {:.2})",
                    ns.value / 1e3,
                    ratio.value,
                    ratio.low,
                    ratio.high
                )?,
            }
        }
        writeln!(
            f,
            "\n  Geometric mean: {:.2} G lane-instructions/s of a core; at least {LEAST} is promised",
            self.lane_instructions_per_ns
        )?;
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

    fn report(ns: f64, ratio: f64, difference: f64) -> Report {
        let median = |value: f64| Median::of(&[value; 12]).unwrap();
        Report {
            lane_instructions_per_ns: 1000.0 / ns,
            least: LEAST,
            slower_at_most: SLOWER,
            kernels: vec![Kernel {
                name: "opencl/sum".into(),
                lane_instructions: 1000.0,
                ns: median(ns),
                peer: Some(Peer {
                    ns: median(ns / ratio),
                    ratio: median(ratio),
                    difference,
                }),
            }],
            peer: String::new(),
            conditions: serde_json::from_value(
                serde_json::json!({"machine": "", "versions": {}, "command": ""}),
            )
            .unwrap(),
        }
    }

    #[test]
    fn each_bound_can_be_broken() {
        let error = |report: Report| report.ensure_bounds().unwrap_err().to_string();
        assert!(report(1000.0, 5.0, 0.0).ensure_bounds().is_ok());
        let slow = error(report(4000.0, 5.0, 0.0));
        assert_eq!(slow, "0.25 G lane-instructions in a second, not 0.5");
        let slower = error(report(1000.0, 12.0, 0.0));
        assert_eq!(slower, "opencl/sum takes 12.0 times as long as on pocl");
        let other = error(report(1000.0, 5.0, 0.01));
        assert_eq!(other, "pocl has other values of opencl/sum: 1e-2");
    }
}
