//! `cargo xtask bench`: what an access costs a guest, measured against peers.

mod conditions;

use std::fmt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use clap::{Args, Subcommand, value_parser};
use serde::Serialize;
use vgpu_benchmarks::{Access, Comparison, Median};
use vgpu_testbed::cache::Cache;
use vgpu_testbed::failure::Mend;
use vgpu_testbed::firmware::Firmware;
use vgpu_testbed::guest::{GuestImage, GuestProgram};
use vgpu_testbed::machine::{MachineBuilder, MachineType};
use vgpu_testbed::server::{Server, qemu_device};
use vgpu_testbed::static_program;
use vgpu_testbed::steps::{Step, Steps};
use vgpu_testbed::stock_qemu::StockQemu;

use crate::checkout;
use conditions::Conditions;

const EXAMPLES: &str = "\
Examples:
  cargo xtask bench vfio-user           what a BAR0 read costs, against the peer
  cargo xtask bench vfio-user --access write
  cargo xtask bench vfio-user --json >result.json

Exit code: 0 if vgpu-stub may cost no more, 1 if the whole interval says more, or nothing was measured.";

/// The most that an access to vgpu-stub may cost, in accesses to its peer.
const BOUND: f64 = 1.0;

/// How long the program in the guest may take. It takes seconds, and much longer on a busy machine.
const LIMIT: Duration = Duration::from_secs(5 * 60);

/// Measure what an access costs a guest, against peers
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    #[command(subcommand)]
    benchmark: Benchmark,
}

#[derive(Debug, Subcommand)]
enum Benchmark {
    VfioUser(VfioUser),
}

/// Compare vgpu-stub with a minimal server on the crate vfio_user, in guests that have both, of a stock QEMU
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
struct VfioUser {
    /// What to time
    #[arg(long, value_enum, default_value_t = Access::Read)]
    access: Access,

    /// How many guests to boot, each with new servers; they are the sample
    #[arg(long, default_value_t = 12, value_parser = value_parser!(u32).range(Median::FEWEST as i64..=1000))]
    boots: u32,

    /// Compare vgpu-stub with itself, which shows what this benchmark cannot tell apart
    #[arg(long)]
    null: bool,

    /// Print JSON, with the ratio of each boot
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(options: &Options, steps: &Steps) -> Result<()> {
    match &options.benchmark {
        Benchmark::VfioUser(options) => vfio_user(options, steps),
    }
}

fn vfio_user(options: &VfioUser, steps: &Steps) -> Result<()> {
    let build = |package, name| static_program::build(checkout(), package, name, steps);
    let ours = build("vgpu-stub", "vgpu-stub")?;
    let (peer, peers_name) = if options.null {
        (ours.clone(), "itself")
    } else {
        let server = build("vgpu-benchmarks", "minimal-vfio-user-server")?;
        (server, "a minimal server on the crate vfio_user")
    };
    let program = build("vgpu-benchmarks", "bar0-cost")?;
    let cache = Cache::open()?;
    let qemu = StockQemu::fetch(&cache, steps)?;
    let programs = [GuestProgram {
        name: "bar0-cost",
        file: &program,
    }];
    let image = GuestImage::assemble(&cache, &programs, steps)?;
    let conditions = Conditions::new(&ours, &qemu.release)?;
    let machine = MachineBuilder::new(&qemu.path, MachineType::Q35, &Firmware::own())
        .shared_memory()
        .image(&image);
    let boots = steps
        .step("Measure in guests", |step| {
            (1..=options.boots)
                .map(|boot| {
                    step.say(&format!("[{boot}/{}] guest", options.boots));
                    measure(machine.clone(), [&ours, &peer], options.access, boot, step)
                })
                .collect::<Result<Vec<_>>>()
        })
        .mend("See what QEMU and the guest say above; on a busy machine, try again later.")?;
    let report = Report::new(peers_name, &boots, conditions)?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("\n{report}");
    }
    report.ensure_bound()
}

/// Compares the devices of two servers in a guest. With each boot they change places.
fn measure(
    machine: MachineBuilder,
    servers: [&Path; 2],
    access: Access,
    boot: u32,
    step: &Step,
) -> Result<Comparison> {
    let mut slots = [5, 6];
    slots.rotate_left(boot as usize % 2);
    let servers = [
        Server::start(servers[0], [""; 0])?,
        Server::start(servers[1], [""; 0])?,
    ];
    let mut devices = [(slots[0], &servers[0]), (slots[1], &servers[1])];
    devices.sort_by_key(|(slot, _)| *slot);
    let machine = devices
        .into_iter()
        .fold(machine, |machine, (slot, server)| {
            let slot = ("addr", slot.to_string().into());
            machine.device(&qemu_device(server.socket(), &[slot]))
        });
    let mut machine = machine.start()?;
    let [first, second] = slots.map(|slot| format!("0000:00:{slot:02x}.0"));
    let command = format!("bar0-cost {first} {second} --access {access}");
    let printed = machine.guest()?.run_within(&command, LIMIT)?.success()?;
    machine.power_off()?;
    let comparison: Comparison =
        serde_json::from_str(&printed).context("bar0-cost printed something else")?;
    step.say(&format!("ratio {:.3}", comparison.ratio.value));
    Ok(comparison)
}

/// What was measured, and what it means.
#[derive(Debug, Serialize)]
struct Report {
    /// What was timed.
    access: Access,
    /// What vgpu-stub is compared with.
    peer: &'static str,
    bound: f64,
    verdict: Verdict,
    /// Median of `ratios`.
    ratio: Median,
    /// The median ratio in each guest.
    ratios: Vec<f64>,
    /// Time of an access, in nanoseconds: the median over the guests.
    vgpu_stub_ns: f64,
    peer_ns: f64,
    #[serde(flatten)]
    conditions: Conditions,
}

/// Where the interval lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    /// All of it below the bound, or on it.
    Below,
    /// On both sides.
    Reaches,
    /// All of it above.
    Above,
}

impl Verdict {
    fn new(ratio: &Median) -> Self {
        match () {
            () if ratio.high <= BOUND => Self::Below,
            () if ratio.low <= BOUND => Self::Reaches,
            () => Self::Above,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Below => "holds: the interval is below it",
            Self::Reaches => "can hold: the interval reaches it",
            Self::Above => "DOES NOT HOLD: the interval is above it",
        }
    }
}

impl Report {
    fn new(peer: &'static str, boots: &[Comparison], conditions: Conditions) -> Result<Self> {
        let median = |value: fn(&Comparison) -> f64| {
            let values: Vec<f64> = boots.iter().map(value).collect();
            Median::of(&values).context("too few guests")
        };
        let ratio = median(|boot| boot.ratio.value)?;
        Ok(Self {
            access: boots.first().context("no guest")?.access,
            peer,
            bound: BOUND,
            verdict: Verdict::new(&ratio),
            ratio,
            ratios: boots.iter().map(|boot| boot.ratio.value).collect(),
            vgpu_stub_ns: median(|boot| boot.first_ns)?.value,
            peer_ns: median(|boot| boot.second_ns)?.value,
            conditions,
        })
    }

    fn ensure_bound(&self) -> Result<()> {
        if self.verdict != Verdict::Above {
            return Ok(());
        }
        Err(anyhow!(
            "an access to vgpu-stub costs more than one to its peer"
        ))
        .mend("See where the server's time goes: strace -c -f -p PID, perf record -p PID.")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Median { value, low, high } = self.ratio;
        let boots = self.ratios.len();
        let rows = [
            (
                "ratio",
                format!(
                    "{value:.3}, {low:.3} to {high:.3} (median of {boots} guests, 95 % interval)"
                ),
            ),
            ("bound", format!("{BOUND:.3} {}", self.verdict.words())),
            ("vgpu-stub", format!("{:.1} µs", self.vgpu_stub_ns / 1000.0)),
            ("its peer", format!("{:.1} µs", self.peer_ns / 1000.0)),
            ("machine", self.conditions.machine.clone()),
            ("versions", self.conditions.versions()),
            ("command", self.conditions.command.clone()),
        ];
        writeln!(
            f,
            "Cost of a BAR0 {} through vgpu-stub vfio-user, against {}\n",
            self.access, self.peer
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
            Verdict::new(&Median {
                value: f64::midpoint(low, high),
                low,
                high,
            })
        };
        assert_eq!(verdict(0.8, 1.0), Verdict::Below);
        assert_eq!(verdict(1.0, 1.2), Verdict::Reaches);
        assert_eq!(verdict(0.9, 1.01), Verdict::Reaches);
        assert_eq!(verdict(1.001, 1.2), Verdict::Above);
    }
}
