//! The `vgpu-stub` command. Each subcommand has its own module.
#![forbid(unsafe_code)]

mod check;
mod ctl;
mod device_properties;
mod failure;
mod number;
mod vfio_user;
mod xen;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Exit code when a subcommand could not do its work; clap uses the same one
/// for wrong usage.
const COULD_NOT_RUN: u8 = 2;

/// A virtual GPU PCI device for virtual machines.
#[derive(Parser)]
#[command(version, propagate_version = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Check(check::Args),
    Ctl(ctl::Args),
    VfioUser(vfio_user::Args),
    Xen(xen::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Check(args) => check::run(&args),
        Command::Ctl(args) => ctl::run(&args),
        Command::VfioUser(args) => vfio_user::run(&args),
        Command::Xen(args) => xen::run(&args),
    };
    result.unwrap_or_else(|failure| {
        failure.print();
        ExitCode::from(COULD_NOT_RUN)
    })
}
