//! `cargo xtask bench`: what an access costs a guest, measured against peers, what a server costs a host, what a CUDA call
//! costs a program and a guest, and how fast the CPU engine executes kernels.

mod chart;
mod conditions;
mod cuda;
mod density;
mod driver;
mod features;
mod guests;
mod interpreter;
mod model;
mod options;
mod qemu;
mod report;
mod vfio_user;
mod xen;

use anyhow::Result;
use clap::{Args, Subcommand};
use vgpu_bed::steps::Steps;

use options::{Comparing, EXAMPLES};

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
    Model(model::Options),
    Density(density::Options),
    Cuda(cuda::Options),
    Driver(driver::Options),
    Interpreter(interpreter::Options),
    Features(features::Options),
    Report(chart::Options),
}

/// Runs the command.
pub(crate) fn run(options: &Options, steps: &Steps) -> Result<()> {
    match &options.benchmark {
        Benchmark::VfioUser(options) => vfio_user::run(options, steps),
        Benchmark::Qemu(options) => qemu::run(options, steps),
        Benchmark::Xen(options) => xen::run(options, steps),
        Benchmark::Model(options) => model::run(options, steps),
        Benchmark::Density(options) => density::run(options, steps),
        Benchmark::Cuda(options) => cuda::run(options, steps),
        Benchmark::Driver(options) => driver::run(options, steps),
        Benchmark::Interpreter(options) => interpreter::run(options, steps),
        Benchmark::Features(options) => features::run(options, steps),
        Benchmark::Report(options) => chart::run(options),
    }
}
