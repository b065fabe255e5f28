//! `vgpu doctor`: why do the CUDA programs of this guest find no device? From its PCI function to a session with the host.

mod kernel;
mod machine;
mod points;
mod session;

use std::path::PathBuf;
use std::process::ExitCode;

use vgpu_checklist::{Report, examine};
use vgpu_terminal::{Failure, json, print};

use machine::Guest;

const EXAMPLES: &str = "\
Examples:
  vgpu doctor                 in a guest, as the user whose programs find no device
  sudo vgpu doctor            sees the kernel's log too
  vgpu doctor --json | jq '.points[] | select(.verdict != \"ok\")'

On the host, `vgpu-stub doctor --vm NAME` looks at the same from the other side.

Exit code: 0 if no point has a fault, 1 if one has, 2 if it could not run.";

const DETAILS: &str = "\
Each point is ok, a FAULT, or not seen, with the reason. A fault comes with a mend to type, in the guest or on the host.
Points that make no sense before a fault is mended are not seen. Nothing is changed by the looking, but that a session is
opened and closed again.

JSON: as that of vgpu-stub doctor.
  {\"version\": 1, \"subject\": \"…\", \"well\": false,
   \"points\": [{\"id\": \"module\", \"title\": \"…\", \"guide\": \"\",
     \"verdict\": \"ok\" | \"fault\" | \"not-seen\", \"seen\": [\"…\"],
     \"cause\": null | \"…\",
     \"mend\": [{\"on\": \"host\" | \"guest\" | \"qemu-arguments\", \"type\": \"…\"}]}]}
  All points are there, in order. Fields and points may be added; a change of meaning raises the version.";

/// Find out why the CUDA programs of a guest have no device, and how to mend it
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{DETAILS}"))]
pub(crate) struct Args {
    /// Print JSON in place of lines
    #[arg(long)]
    json: bool,

    /// The guest's files, elsewhere in tests
    #[arg(long, hide = true, value_name = "FOLDER", default_value = "/")]
    root: PathBuf,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let guest = Guest::new(&args.root);
    let findings = examine(&points::POINTS, &guest);
    let report = Report::new("CUDA programs of this guest".to_owned(), findings);
    print("the report", |out| match args.json {
        true => json(out, &report),
        false => report.write(out),
    })?;
    Ok(ExitCode::from(u8::from(!report.well)))
}
