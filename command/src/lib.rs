//! The `vgpu` command. Each subcommand has its own module.
//!
//! It is a library so that manual pages and shell completions are made of its
//! own definition.
#![forbid(unsafe_code)]

mod library;
mod program;
mod ptx;
mod run;
mod trace;

use std::env;
use std::ffi::OsStr;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};
use vgpu_terminal::Failure;

const EXAMPLES: &str = "\
Examples:
  vgpu run -- python3 train.py      a program, with a CUDA device of this machine's processors
  vgpu trace -- python3 train.py    and what it called, sent and waited for
  vgpu ptx check kernel.ptx         whether the processors' engine takes a kernel

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
        },
        Err(error) => Err(misused(&error, &first)),
    };
    result.unwrap_or_else(|failure| failure.report())
}

/// Prints help or the version where these were asked for, and ends; else,
/// clap's report in two lines.
fn misused(error: &clap::Error, subcommand: &OsStr) -> Failure {
    if !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        error.exit();
    }
    let failure = Failure::of_usage(&error.to_string());
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
