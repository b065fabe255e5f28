//! `vgpu trace`: what a program called, sent, and waited for.

pub(crate) mod report;
mod table;
pub(crate) mod write;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::error::Category;
use vgpu_terminal::{Failure, print};
use vgpu_trace::Trace;

use crate::run::{DeviceArgs, start};
use report::Report;

const EXAMPLES: &str = "\
Examples:
  vgpu trace -- python3 train.py           run it, then say on stderr what it called
  vgpu trace --calls -- ./program          each of its last calls too, as it ended
  vgpu run --trace a.json -- ./program     keep it in a file,
  vgpu trace a.json                        and look at it later
  vgpu trace --json a.json | jq .waits

JSON: times are nanoseconds. A function's class is local (it sends nothing), asynchronous (sends,
and does not wait), shadow (also makes a handle), sync (waits for its answer), or null where it is
not supported. With a program it comes on stderr, after what the program and the device say there:
where another program is to read it, use vgpu run --trace FILE.

Exit code: of a file, 0; 2 if it cannot be read. With a program, as of vgpu run.";

/// Show what a program called, sent, and waited for
#[derive(Debug, clap::Args)]
#[command(
    after_help = EXAMPLES,
    override_usage = "vgpu trace [OPTIONS] -- PROGRAM...\n       vgpu trace [--json] FILE"
)]
pub(crate) struct Args {
    #[command(flatten)]
    device: DeviceArgs,

    /// Print JSON
    #[arg(long)]
    json: bool,

    /// List the last 65,536 calls, as they ended
    #[arg(long, conflicts_with_all = ["file", "json"])]
    calls: bool,

    /// A file that vgpu run --trace wrote
    #[arg(
        value_name = "FILE",
        required_unless_present = "program",
        conflicts_with = "program"
    )]
    file: Option<PathBuf>,

    /// The program and its arguments
    #[arg(last = true, value_name = "PROGRAM")]
    program: Vec<OsString>,
}

pub(crate) fn run(args: Args) -> Result<ExitCode, Failure> {
    if let Some(file) = &args.file {
        let report = read(file)?;
        print("the trace", |out| show(out, &report, None, args.json))?;
        return Ok(ExitCode::SUCCESS);
    }
    let started = start(args.device, &args.program, true);
    let (code, traced) = started.map_err(crate::program::not_started)?;
    if let Some((report, trace)) = traced {
        // Beside what the program prints. Nobody is left to tell when stderr is
        // closed.
        let trace = args.calls.then_some(&trace);
        let _ = show(&mut io::stderr().lock(), &report, trace, args.json);
    }
    Ok(ExitCode::from(code))
}

fn show(out: &mut dyn Write, report: &Report, calls: Option<&Trace>, json: bool) -> io::Result<()> {
    if json {
        serde_json::to_writer_pretty(&mut *out, report)?;
        return writeln!(out);
    }
    if let Some(trace) = calls {
        table::calls(out, trace)?;
    }
    table::report(out, report)
}

fn read(path: &Path) -> Result<Report, Failure> {
    let name = path.display();
    let mend =
        "name a file that `vgpu run --trace FILE` wrote; to trace a program, put -- before it";
    let file = File::open(path)
        .map_err(|error| Failure::new(format!("cannot read {name}: {error}"), mend))?;
    let report: Report = serde_json::from_reader(BufReader::new(file)).map_err(|error| {
        let cause = match error.classify() {
            Category::Io => format!("cannot read {name}: {}", io::Error::from(error)),
            Category::Eof => format!("{name} is empty or cut short: {error}"),
            Category::Syntax | Category::Data => format!("{name} is no trace: {error}"),
        };
        Failure::new(cause, mend)
    })?;
    match report.version == report::VERSION {
        true => Ok(report),
        false => Err(Failure::new(
            format!(
                "{name} is of version {}, and this command reads version {}",
                report.version,
                report::VERSION
            ),
            "use the vgpu that wrote it",
        )),
    }
}
