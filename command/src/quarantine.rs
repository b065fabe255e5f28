//! `vgpu quarantine`: a machine gets no engine any more.

use std::process::ExitCode;

use uuid::Uuid;
use vgpu_terminal::Failure;
use vgpud::control::Request;

use crate::control::ControlArgs;

const EXAMPLES: &str = "\
Examples:
  vgpu quarantine 1b4e28ba-2fa1-11d2-883f-0016d3cca427
  vgpu quarantine --end 1b4e28ba-2fa1-11d2-883f-0016d3cca427

Its sessions are ended at once, and new ones refused, until --end or the daemon's restart. vgpud
does the same by itself with a machine whose kernels ran too long too often.

Exit code: 0 if it is done, 2 if there is no such machine or the daemon does not answer.";

/// Give a virtual machine no engine any more, or again
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    control: ControlArgs,

    /// The machine, as `vgpu status` lists it
    #[arg(value_name = "UUID")]
    machine: Uuid,

    /// End the quarantine
    #[arg(long)]
    end: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let (machine, on) = (args.machine, !args.end);
    args.control.ask(Request::Quarantine { machine, on })?;
    Ok(ExitCode::SUCCESS)
}
