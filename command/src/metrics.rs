//! `vgpu metrics`: what Prometheus is told.

use std::process::ExitCode;

use vgpu_terminal::{Failure, print};
use vgpud::control::{Answer, Request};

use crate::control::{ControlArgs, another};

const EXAMPLES: &str = "\
Examples:
  vgpu metrics
  vgpu metrics > /var/lib/node_exporter/vgpu.prom.new

The text is that of Prometheus' text format. A timer that writes it to a file in the folder of
node_exporter's textfile collector, and renames that, is all that it takes; no port is open.

Exit code: 0 if it was told, 2 if the daemon does not answer.";

/// Print metrics of virtual machines, as Prometheus reads them
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    control: ControlArgs,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let Answer::Metrics(text) = args.control.ask(Request::Metrics)? else {
        return Err(another());
    };
    print("the metrics", |out| out.write_all(text.as_bytes()))?;
    Ok(ExitCode::SUCCESS)
}
