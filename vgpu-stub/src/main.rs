//! The `vgpu-stub` command. Each subcommand has its own module.
#![forbid(unsafe_code)]

mod check;
mod cloudstack;
mod ctl;
mod device_properties;
mod doctor;
mod failure;
mod number;
mod qemu;
mod vfio_user;
mod xen;

use std::env;
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::failure::Failure;

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
    Cloudstack(cloudstack::Args),
    Ctl(ctl::Args),
    Doctor(doctor::Args),
    Qemu(qemu::Args),
    VfioUser(vfio_user::Args),
    Xen(xen::Args),
    XlConfig(xen::xl_config::Args),
}

fn main() -> ExitCode {
    let mut arguments = env::args_os();
    let name = arguments.next();
    if name.is_some_and(|name| Path::new(&name).ends_with(xen::device_model::NAME)) {
        return xen::device_model::run(arguments).unwrap_or_else(|failure| {
            failure.print_cause_last();
            ExitCode::from(COULD_NOT_RUN)
        });
    }
    let result = if arguments
        .next()
        .is_some_and(|name| name == vfio_user::GUARD)
    {
        vfio_user::run_guard()
    } else {
        run(Cli::parse().command)
    };
    result.unwrap_or_else(|failure| {
        failure.print();
        ExitCode::from(COULD_NOT_RUN)
    })
}

fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Check(args) => check::run(&args),
        Command::Cloudstack(args) => cloudstack::run(&args),
        Command::Ctl(args) => ctl::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Qemu(args) => qemu::run(&args),
        Command::VfioUser(args) => vfio_user::run(&args),
        Command::Xen(args) => xen::run(&args),
        Command::XlConfig(args) => xen::xl_config::run(&args),
    }
}
