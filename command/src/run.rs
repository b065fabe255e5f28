//! `vgpu run`: a program with a CUDA device.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::builder::PossibleValue;
use vgpu_service::{ENGINES, EngineKind};
use vgpu_terminal::Failure;
use vgpu_trace::Trace;

use crate::library;
use crate::program::{self, Device};
use crate::trace::report::Report;
use crate::trace::write;

const EXAMPLES: &str = "\
Examples:
  vgpu run -- python3 train.py
  vgpu run --trace train.json -- python3 train.py   and then: vgpu trace train.json
  vgpu run --engine null -- ./program               kernels do nothing
  vgpu run -- bash                                  a shell whose programs have the device

The program, and those that it starts, find the device; it is gone when the program ends, or this
command is killed. On SIGTERM, SIGHUP, SIGINT and SIGQUIT the program gets the signal.

Exit code: the program's, or 128 and the number of the signal that ended it; 125 if this command
could not do its work, 126 if the program could not be started, 127 if there is none.";

/// Run a program with a CUDA device
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    device: DeviceArgs,

    /// Write what the program called to this file, as JSON
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,

    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "PROGRAM")]
    program: Vec<OsString>,
}

/// The device of a program.
#[derive(Debug, clap::Args)]
pub(crate) struct DeviceArgs {
    /// What executes the program's work
    #[arg(long, value_name = "ENGINE", default_value = ENGINES[0].name, value_parser = engines())]
    engine: String,

    /// The folder with libcuda.so.1 [default: ../lib/vgpu, seen from this program]
    #[arg(long, value_name = "FOLDER")]
    library: Option<PathBuf>,
}

fn engines() -> clap::builder::PossibleValuesParser {
    let values = ENGINES.iter();
    let values = values.map(|engine| PossibleValue::new(engine.name).help(engine.about));
    clap::builder::PossibleValuesParser::new(values)
}

impl DeviceArgs {
    /// The chosen one; the first, should the parser ever let another name pass.
    fn engine(&self) -> &'static EngineKind {
        EngineKind::named(&self.engine).unwrap_or(&ENGINES[0])
    }
}

/// Runs a program; gives its exit code, and what it called where that is
/// wanted and it ran.
pub(crate) fn start(
    device: DeviceArgs,
    program: &[OsString],
    traced: bool,
) -> Result<(u8, Option<(Report, Trace)>), Failure> {
    let engine = device.engine();
    let folder = library::folder(device.library)?;
    let environment = library::search(&folder)?;
    let (memory, trace) = match traced {
        true => {
            let made = Trace::create().map_err(|error| {
                Failure::new(
                    format!("cannot trace: {error}"),
                    "see that there is memory left",
                )
            });
            let (memory, trace) = made?;
            (Some(memory), Some(trace))
        }
        false => (None, None),
    };
    let device = Device {
        engine,
        environment,
        trace: memory,
    };
    let start = Instant::now();
    let ended = program::run(program, &device)?;
    let code = vgpud::program::code(ended.status);
    let traced = trace.filter(|_| ended.ran).map(|trace| {
        let report = Report::new(&trace, program, engine.name, code, start.elapsed());
        (report, trace)
    });
    Ok((code, traced))
}

pub(crate) fn run(args: Args) -> Result<ExitCode, Failure> {
    let run = || {
        // Before the program has run for an hour.
        let file = args
            .trace
            .as_deref()
            .map(write::ReportFile::new)
            .transpose()?;
        let (code, traced) = start(args.device, &args.program, file.is_some())?;
        if let (Some(file), Some((report, _))) = (file, traced) {
            file.fill(&report)?;
        }
        Ok(ExitCode::from(code))
    };
    run().map_err(program::not_started)
}
