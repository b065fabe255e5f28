//! What a guest's shared memory costs: a round trip to the host's worker against a bare one through the same memory, doorbells,
//! and wake-ups of a host that sleeps.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Args, value_parser};
use serde::{Deserialize, Serialize};
use vgpu_bed::cache::Cache;
use vgpu_bed::daemon::ECHO_AWAKE;
use vgpu_bed::machine::{Machine, MachineType};
use vgpu_bed::ping::VGPU;
use vgpu_bed::steps::Steps;
use vgpu_bed::stock_qemu::StockQemu;
use vgpu_bench::Median;
use vgpu_terminal::Failure;

use super::conditions::Conditions;
use super::report::Verdict;
use super::{EXAMPLES, guests};
use crate::features::{Host, Programs};

/// The most that a round trip may cost, in bare ones.
const RATIO: f64 = 4.0;

/// The most doorbells for 1,000 records of a stream.
const DOORBELLS: f64 = 1.0;

/// How long a guest may measure. It takes seconds, and much longer on a busy machine.
const LIMIT: Duration = Duration::from_secs(10 * 60);

/// Measure a guest's shared memory: round trips against bare ones, doorbells, wake-ups
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// How many guests to boot, in turns on pc and q35; they are the sample
    #[arg(long, default_value_t = 12, value_parser = value_parser!(u32).range(Median::FEWEST as i64..=1000))]
    boots: u32,

    /// How often each lets the host sleep, and wakes it
    #[arg(long, default_value_t = 200, value_parser = value_parser!(u32).range(1..=100_000))]
    parks: u32,

    /// Print JSON, with the values of each guest
    #[arg(long)]
    json: bool,
}

/// What `vgpu ping --json` prints, of what is used here.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Ping {
    echo: Option<Times>,
    bare: Option<Times>,
    ratio: Option<f64>,
    to_host: Stream,
    to_guest: Stream,
    parks: Option<Parks>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Times {
    p50_ns: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Stream {
    records: u64,
    wrong: u64,
    mib_per_s: f64,
    doorbells: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Parks {
    count: u64,
    late: u64,
    p50_ns: u64,
}

/// What a guest measured, with a host that sleeps, and with one that does not.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Values {
    machine: String,
    usual: Ping,
    awake: Ping,
}

/// What was measured, and what it means.
#[derive(Debug, Serialize)]
struct Report {
    echo_ns: Median,
    bare_ns: Median,
    ratio: Bounded,
    /// For 1,000 records.
    doorbells: [Bounded; 2],
    mib_per_s: [Median; 2],
    /// Of all streams to hosts that do not sleep.
    awake_doorbells: u64,
    wakes: u64,
    late: u64,
    wake_ns: Median,
    values: Vec<Values>,
    #[serde(flatten)]
    conditions: Conditions,
}

#[derive(Debug, Serialize)]
struct Bounded {
    name: &'static str,
    value: Median,
    bound: f64,
    verdict: Verdict,
}

pub(super) fn run(options: &Options, steps: &Steps) -> Result<()> {
    let programs = Programs::build("release", steps)?;
    let cache = Cache::open()?;
    let qemu = StockQemu::fetch(&cache, steps)?;
    let image = programs.image(&cache, steps)?;
    let conditions = Conditions::new(&programs.stub, &[("QEMU", &qemu.release)])?;
    let values = guests::sample(options.boots, steps, |boot, step| {
        let machine = [MachineType::Pc, MachineType::Q35][boot as usize % 2];
        let mut host = Host::start(&programs, &qemu, machine, &image)?;
        let usual = ping(&mut host.machine, &format!("--parks {}", options.parks))?;
        step.say(&format!("ratio {:.2}", usual.ratio.unwrap_or(f64::NAN)));
        host.daemon.kill()?;
        host.daemon.start_again(ECHO_AWAKE)?;
        let awake = ping(&mut host.machine, "--count 0 --parks 0 --wait 30")?;
        host.machine.power_off()?;
        Ok(Values {
            machine: machine.name().to_owned(),
            usual,
            awake,
        })
    })?;
    let report = Report::new(values, conditions)?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("\n{report}");
    }
    report.ensure_bounds()
}

fn ping(machine: &mut Machine, arguments: &str) -> Result<Ping> {
    let command = format!("{VGPU} ping --json --bytes 1G {arguments}");
    let said = machine.guest()?.run_within(&command, LIMIT)?;
    // 1 where a wake-up was late, which the report tells too.
    ensure!(said.status <= 1, "vgpu ping failed: {}", said.stderr.trim());
    let found: Ping =
        serde_json::from_str(&said.stdout).context("vgpu ping printed something else")?;
    let wrong = found.to_host.wrong + found.to_guest.wrong;
    ensure!(wrong == 0, "data was wrong in {wrong} records");
    Ok(found)
}

impl Bounded {
    fn new(name: &'static str, bound: f64, values: &[f64]) -> Result<Self> {
        let value = median(values)?;
        Ok(Self {
            name,
            value,
            bound,
            verdict: Verdict::new(&value, bound),
        })
    }
}

fn median(values: &[f64]) -> Result<Median> {
    Median::of(values).context("too few guests")
}

impl Stream {
    fn doorbells_of_1000(&self) -> f64 {
        self.doorbells as f64 * 1000.0 / self.records.max(1) as f64
    }
}

impl Report {
    fn new(values: Vec<Values>, conditions: Conditions) -> Result<Self> {
        let each = |value: &dyn Fn(&Ping) -> Option<f64>| -> Result<Vec<f64>> {
            let all = values.iter().map(|it| value(&it.usual));
            all.collect::<Option<_>>()
                .context("the host knows no bare line")
        };
        let p50 = |times: &Option<Times>| times.as_ref().map(|it| it.p50_ns as f64);
        let parks = values.iter().filter_map(|it| it.usual.parks.as_ref());
        let awake = values.iter().map(|it| &it.awake);
        Ok(Self {
            echo_ns: median(&each(&|it| p50(&it.echo))?)?,
            bare_ns: median(&each(&|it| p50(&it.bare))?)?,
            ratio: Bounded::new("a round trip", RATIO, &each(&|it| it.ratio)?)?,
            doorbells: [
                Bounded::new(
                    "a stream to the host",
                    DOORBELLS,
                    &each(&|it| Some(it.to_host.doorbells_of_1000()))?,
                )?,
                Bounded::new(
                    "a stream to the guest",
                    DOORBELLS,
                    &each(&|it| Some(it.to_guest.doorbells_of_1000()))?,
                )?,
            ],
            mib_per_s: [
                median(&each(&|it| Some(it.to_host.mib_per_s))?)?,
                median(&each(&|it| Some(it.to_guest.mib_per_s))?)?,
            ],
            awake_doorbells: awake
                .map(|it| it.to_host.doorbells + it.to_guest.doorbells)
                .sum(),
            wakes: parks.clone().map(|it| it.count).sum(),
            late: parks.map(|it| it.late).sum(),
            wake_ns: median(&each(&|it| Some(it.parks.as_ref()?.p50_ns as f64))?)?,
            values,
            conditions,
        })
    }

    /// As the other comparisons: where the whole interval is above, it does not hold. What is counted has to be right each time.
    fn ensure_bounds(&self) -> Result<()> {
        let bounded = [&self.ratio].into_iter().chain(&self.doorbells);
        let mut above = bounded.filter(|it| it.verdict == Verdict::Above);
        let cause = match above.next() {
            Some(it) if it.name == self.ratio.name => {
                format!(
                    "{} costs {:.2} bare ones, not {}",
                    it.name, it.value.value, it.bound
                )
            }
            Some(it) => format!(
                "{} rings {:.2} times for 1,000 records, not {}",
                it.name, it.value.value, it.bound
            ),
            None if self.awake_doorbells > 0 => {
                format!(
                    "a host that does not sleep was rung {} times",
                    self.awake_doorbells
                )
            }
            None if self.late > 0 => format!("{} of {} wake-ups were late", self.late, self.wakes),
            None => return Ok(()),
        };
        let mend = "Run it again while the machine does nothing else; then look at the ring: cargo bench -p vgpu-ring";
        Err(Failure::new(cause, mend).into())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let guests = self.values.len();
        writeln!(
            f,
            "A guest's shared memory: median of {guests} guests, 95 % interval\n"
        )?;
        let interval = |it: &Median, digits: usize| {
            let Median { value, low, high } = it;
            format!("{value:.digits$} ({low:.digits$} to {high:.digits$})")
        };
        let bounded = |it: &Bounded| {
            let (value, words) = (interval(&it.value, 2), it.verdict.words());
            format!("{value}, bound {} {words}", it.bound)
        };
        let [to_host, to_guest] = &self.doorbells;
        let [mib_to_host, mib_to_guest] = &self.mib_per_s;
        let rows = [
            ("round trip", format!("{} ns", interval(&self.echo_ns, 0))),
            ("bare line", format!("{} ns", interval(&self.bare_ns, 0))),
            ("ratio", bounded(&self.ratio)),
            ("to the host", format!("{} MiB/s", interval(mib_to_host, 0))),
            (
                "  doorbells",
                format!("{} of 1,000 records", bounded(to_host)),
            ),
            (
                "to the guest",
                format!("{} MiB/s", interval(mib_to_guest, 0)),
            ),
            (
                "  doorbells",
                format!("{} of 1,000 records", bounded(to_guest)),
            ),
            (
                "never sleeps",
                format!("{} doorbells", self.awake_doorbells),
            ),
            (
                "wake-ups",
                format!(
                    "{}, of them {} late; {} us",
                    self.wakes,
                    self.late,
                    self.wake_ns.value as u64 / 1000
                ),
            ),
            ("machine", self.conditions.machine.clone()),
            ("versions", self.conditions.versions()),
            ("command", self.conditions.command.clone()),
        ];
        for (name, value) in rows {
            writeln!(f, "  {name:<13} {value}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(ratio: f64, doorbells: u64, awake: u64, late: u64) -> Report {
        let conditions = serde_json::from_value(
            serde_json::json!({"machine": "", "versions": {}, "command": ""}),
        );
        let stream = |doorbells| Stream {
            records: 8000,
            wrong: 0,
            mib_per_s: 900.0,
            doorbells,
        };
        let ping = |doorbells| Ping {
            echo: Some(Times { p50_ns: 500 }),
            bare: Some(Times { p50_ns: 200 }),
            ratio: Some(ratio),
            to_host: stream(0),
            to_guest: stream(doorbells),
            parks: Some(Parks {
                count: 200,
                late,
                p50_ns: 80_000,
            }),
        };
        let values = Values {
            machine: "pc".into(),
            usual: ping(doorbells),
            awake: ping(awake),
        };
        Report::new(vec![values; 6], conditions.unwrap()).unwrap()
    }

    #[test]
    fn each_bound_is_held() {
        assert!(report(4.0, 8, 0, 0).ensure_bounds().is_ok());
        for (report, said) in [
            (
                report(4.1, 8, 0, 0),
                "a round trip costs 4.10 bare ones, not 4",
            ),
            (
                report(1.0, 16, 0, 0),
                "a stream to the guest rings 2.00 times for 1,000 records, not 1",
            ),
            (
                report(1.0, 0, 1, 0),
                "a host that does not sleep was rung 6 times",
            ),
            (report(1.0, 0, 0, 1), "6 of 1200 wake-ups were late"),
        ] {
            let error = report.ensure_bounds().unwrap_err();
            assert!(error.to_string().contains(said), "{error}");
        }
        let text = report(2.5, 8, 0, 0).to_string();
        assert!(
            text.contains("2.50 (2.50 to 2.50), bound 4 holds"),
            "{text}"
        );
    }
}
