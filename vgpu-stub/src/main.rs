//! The `vgpu-stub` command. Each subcommand has its own module.
#![forbid(unsafe_code)]

mod check;
mod failure;

use std::{
    io::{self, Write},
    process::ExitCode,
};

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
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Check(args) => check::run(&args),
    };
    result.unwrap_or_else(|failure| {
        // Nobody is left to tell when stderr is closed.
        let _ = writeln!(io::stderr(), "error: {}", failure.cause);
        let _ = writeln!(io::stderr(), "mend:  {}", failure.mend);
        ExitCode::from(COULD_NOT_RUN)
    })
}
