//! `vgpu ptx`: what the engine on processors takes.

mod check;
mod forms;

use std::process::ExitCode;

use vgpu_terminal::Failure;

const EXAMPLES: &str = "\
Examples:
  vgpu ptx check kernel.ptx             whether a program may load it
  vgpu ptx forms                        all forms of instructions that are known

Exit code: each command's help has its own.";

/// Look at PTX as the engine on processors does
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Check(check::Args),
    Forms(forms::Args),
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    match &args.command {
        Command::Check(args) => check::run(args),
        Command::Forms(args) => forms::run(args),
    }
}
