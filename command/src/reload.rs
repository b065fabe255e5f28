//! `vgpu reload`: the daemon reads its configuration anew.

use std::process::ExitCode;

use vgpu_terminal::Failure;
use vgpud::control::Request;

use crate::control::ControlArgs;

const EXAMPLES: &str = "\
Examples:
  vgpu reload && vgpu status

Weights, priorities, bounds and quotas hold from the next lease on; sessions go on. SIGHUP does the
same. Where the file is wrong, all stays as it was.

Exit code: 0 if it holds, 2 if the file is wrong or the daemon does not answer.";

/// Have vgpud read its configuration anew
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    control: ControlArgs,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    args.control.ask(Request::Reload)?;
    Ok(ExitCode::SUCCESS)
}
