//! `cargo xtask bench`: what an access costs a guest, measured against peers, what a server costs a host, and what a CUDA
//! call costs a program.

mod chart;
mod conditions;
mod cuda;
mod density;
mod guests;
mod qemu;
mod report;
mod vfio_user;
mod xen;

use anyhow::Result;
use clap::{Args, Subcommand};
use vgpu_bed::steps::Steps;
use vgpu_bench::{Access, Median};

const EXAMPLES: &str = "\
Examples:
  cargo xtask bench vfio-user           what a BAR0 read costs through the server, against a minimal one
  cargo xtask bench qemu                in QEMU itself, against QEMU's own devices
  cargo xtask bench xen                 in Xen's dom0, against a device that QEMU emulates there
  cargo xtask bench density             what idle servers cost together
  cargo xtask bench cuda                what CUDA calls cost a program, against a bare cache line
  cargo xtask bench vfio-user --access write
  cargo xtask bench qemu --json >tests/bench/results/qemu.json
  cargo xtask bench report tests/bench/results/*.json --chart docs/benchmarks.svg

Exit code: 0 if vgpu-stub keeps to the bound, 1 if not, or if nothing was measured.";

/// Measure what an access costs a guest, against peers
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    #[command(subcommand)]
    benchmark: Benchmark,
}

#[derive(Debug, Subcommand)]
enum Benchmark {
    VfioUser(vfio_user::Options),
    Qemu(Comparing),
    Xen(Comparing),
    Density(density::Options),
    Cuda(cuda::Options),
    Report(chart::Options),
}

/// Compare vgpu-stub with devices of QEMU's own, in guests that have both
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
struct Comparing {
    /// What to time
    #[arg(long, value_enum, default_value_t = Access::Read)]
    access: Access,

    /// How many guests to boot; they are the sample
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(Median::FEWEST as i64..=1000))]
    boots: u32,

    /// Print JSON, with the ratio of each boot
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(crate) fn run(options: &Options, steps: &Steps) -> Result<()> {
    match &options.benchmark {
        Benchmark::VfioUser(options) => vfio_user::run(options, steps),
        Benchmark::Qemu(options) => qemu::run(options, steps),
        Benchmark::Xen(options) => xen::run(options, steps),
        Benchmark::Density(options) => density::run(options, steps),
        Benchmark::Cuda(options) => cuda::run(options, steps),
        Benchmark::Report(options) => chart::run(options),
    }
}
