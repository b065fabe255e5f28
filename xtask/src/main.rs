//! Builds, demonstrates and tests the project: `cargo xtask`.
#![forbid(unsafe_code)]

mod acceptance;
mod bench;
mod book;
mod checkout;
mod cuda;
mod demo;
mod driven;
mod driver;
mod features;
mod fuzz;
mod history;
mod manual;
mod package;
mod programs;
mod prove;
mod pypi;
mod qemu;
mod sanitize;
mod soak;
mod test;
mod xen;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use vgpu_bed::steps::Steps;
use vgpu_terminal::describe;

use checkout::checkout;

/// Build, demonstrate and test vgpu-stub
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Options {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    Acceptance(acceptance::Options),
    Bench(bench::Options),
    Book(book::Options),
    Cuda(cuda::Options),
    Demo(demo::Options),
    Driver(driver::Options),
    Package(package::Options),
    Fuzz(fuzz::Options),
    Prove(prove::Options),
    Qemu(qemu::Options),
    Sanitize(sanitize::Options),
    Soak(soak::Options),
    Test(test::Options),
    Xen(xen::Options),
}

fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options.task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprint!("{}", describe(&error));
            ExitCode::FAILURE
        }
    }
}

fn run(task: &Task) -> Result<()> {
    let steps = Steps::new(&checkout().join("target/logs"))?;
    match task {
        Task::Acceptance(options) => acceptance::run(options, &steps),
        Task::Bench(options) => bench::run(options, &steps),
        Task::Book(options) => book::run(options, &steps),
        Task::Cuda(options) => cuda::run(options, &steps),
        Task::Demo(options) => demo::run(options, &steps),
        Task::Driver(options) => driver::run(options, &steps),
        Task::Package(options) => package::run(options, &steps),
        Task::Fuzz(options) => fuzz::run(options, &steps),
        Task::Prove(options) => prove::run(options, &steps),
        Task::Qemu(options) => qemu::run(options, &steps),
        Task::Sanitize(options) => sanitize::run(options, &steps),
        Task::Soak(options) => soak::run(options, &steps),
        Task::Test(options) => test::run(options, &steps),
        Task::Xen(options) => xen::run(options, &steps),
    }
}
