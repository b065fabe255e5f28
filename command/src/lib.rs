//! The `vgpu` command. Each subcommand has its own module.
//!
//! It is a library so that manual pages and shell completions are made of its
//! own definition.
#![forbid(unsafe_code)]

mod control;
mod doctor;
mod library;
mod metrics;
mod ping;
mod program;
mod ptx;
mod quarantine;
mod reload;
mod run;
mod sim;
mod smi;
mod status;
mod table;
mod top;
mod trace;

use std::env;
use std::ffi::OsStr;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use vgpu_terminal::Failure;
use vgpu_usage::misused;

const EXAMPLES: &str = "\
Examples:
  vgpu run -- python3 train.py      a program, with a CUDA device of this machine's processors
  vgpu trace -- python3 train.py    and what it called, sent and waited for
  vgpu ptx check kernel.ptx         whether the processors' engine takes a kernel
  vgpu library status               whether programs find the device without vgpu run
  vgpu ping                         in a guest: whether a virtual GPU's shared memory works
  vgpu doctor                       in a guest: why programs find no device
  vgpu smi                          in a guest: what it has of the host's GPU, and who uses it
  vgpu top                          on a host: which virtual machine uses the engines
  vgpu sim thirty.toml              what thirty of them would get

Exit code: each command's help has its own.";

/// CUDA programs on a machine without a GPU.
#[derive(Parser)]
#[command(
    after_help = EXAMPLES,
    name = "vgpu",
    version,
    propagate_version = true,
    max_term_width = 100
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Run(run::Args),
    Trace(trace::Args),
    Ptx(ptx::Args),
    Library(library::Args),
    Ping(ping::Args),
    Doctor(doctor::Args),
    Smi(smi::Args),
    Status(status::Args),
    Top(top::Args),
    Metrics(metrics::Args),
    Reload(reload::Args),
    Quarantine(quarantine::Args),
    Sim(sim::Args),
}

/// Does what the arguments of this process ask for.
#[must_use]
pub fn run() -> ExitCode {
    let mut arguments = env::args_os().skip(1);
    let first = arguments.next().unwrap_or_default();
    if let Some((_, role)) = program::ROLES.iter().find(|(name, _)| first == *name) {
        return role(&arguments.collect::<Vec<_>>());
    }
    let result = match Cli::try_parse() {
        Ok(cli) => match cli.command {
            Command::Run(args) => run::run(args),
            Command::Trace(args) => trace::run(args),
            Command::Ptx(args) => ptx::run(&args),
            Command::Library(args) => library::run(&args),
            Command::Ping(args) => ping::run(&args),
            Command::Doctor(args) => doctor::run(&args),
            Command::Smi(args) => smi::run(&args),
            Command::Status(args) => status::run(&args),
            Command::Top(args) => top::run(&args),
            Command::Metrics(args) => metrics::run(&args),
            Command::Reload(args) => reload::run(&args),
            Command::Quarantine(args) => quarantine::run(&args),
            Command::Sim(args) => sim::run(&args),
        },
        Err(error) => Err(not_understood(&error, &first)),
    };
    result.unwrap_or_else(|failure| failure.report())
}

/// A wrong call, with the exit code that the subcommand has for it.
fn not_understood(error: &clap::Error, subcommand: &OsStr) -> Failure {
    let failure = misused(error);
    match subcommand.to_str() {
        Some("run" | "trace") => program::not_started(failure),
        _ => failure,
    }
}

/// The definition of the command line.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}
