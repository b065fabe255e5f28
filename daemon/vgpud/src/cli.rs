//! The command `vgpud`.

use std::env;
use std::ffi::OsString;
use std::os::fd::AsFd;
use std::process::{Command, ExitCode, exit};

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Args, CommandFactory, Parser, Subcommand};
use vgpu_service::{ENGINES, EngineKind};
use vgpu_terminal::Failure;
use vgpu_usage::misused;

use crate::{Daemon, program, serve};

const EXAMPLES: &str = "\
Examples:
  systemctl --user enable --now vgpud     by the service manager, from now on
  vgpud serve                             by hand
  vgpud serve --engine nvidia             with the GPU of this machine

Exit code: 0 if it was asked to end, 2 if it could not do its work.";

const SERVE_EXAMPLES: &str = "\
Examples:
  vgpud serve
  vgpud serve --engine null       kernels do nothing

The programs of the user who starts it find it by themselves, where vgpu's libcuda.so.1 is the one
that they load: `vgpu library status` says so. A program that was started with `vgpu run` has a
daemon of its own. Each program has a process that executes its work, and that ends with it.

SIGTERM and SIGINT end the daemon and these processes; programs then have no device any more.

Exit code: 0 if it was asked to end; 2 if it could not begin: it runs already, or another user
listens in its place.";

/// The host's end of CUDA programs: a process that executes the work of each.
#[derive(Parser)]
#[command(
    after_help = EXAMPLES,
    name = "vgpud",
    version,
    propagate_version = true,
    max_term_width = 100
)]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    Serve(ServeArgs),
    Run(RunArgs),
}

/// Stand by for all programs of this user
#[derive(Args)]
#[command(after_help = SERVE_EXAMPLES)]
struct ServeArgs {
    /// What executes the programs' work
    #[arg(long, value_name = "ENGINE", default_value = ENGINES[0].name, value_parser = engines())]
    engine: String,
}

/// Serve one program, with the default engine: the tests here run it, people have `vgpu run`
#[derive(Args)]
#[command(hide = true)]
struct RunArgs {
    #[arg(required = true, trailing_var_arg = true, value_name = "PROGRAM")]
    program: Vec<OsString>,
}

fn engines() -> PossibleValuesParser {
    let values = ENGINES.iter();
    let values = values.map(|engine| PossibleValue::new(engine.name).help(engine.about));
    PossibleValuesParser::new(values)
}

/// The definition of the command line.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Its first argument where it starts itself as a worker: the engine's name and the daemon's number follow.
const WORKER: &str = "worker";

/// Does what the arguments of this process ask for.
#[must_use]
pub fn run() -> ExitCode {
    let mut words = env::args_os().skip(1);
    if words.next().is_some_and(|word| word == WORKER) {
        return worker(&words.collect::<Vec<_>>());
    }
    let done = match Cli::try_parse() {
        Ok(cli) => match cli.command {
            Task::Serve(args) => serve::serve(workers(&args.engine)).map(|()| ExitCode::SUCCESS),
            Task::Run(args) => one_program(&args.program),
        },
        Err(error) => Err(misused(&error)),
    };
    done.unwrap_or_else(|failure| failure.report())
}

/// The command that starts a worker: the same file, even where another was installed in its place.
fn workers(engine: &str) -> Vec<OsString> {
    vec!["/proc/self/exe".into(), WORKER.into(), engine.into()]
}

fn worker(arguments: &[OsString]) -> ExitCode {
    let [engine, daemon] = arguments else {
        return ExitCode::FAILURE;
    };
    let engine = engine.to_str().and_then(EngineKind::named);
    let daemon = daemon.to_str().and_then(|number| number.parse().ok());
    let socket = std::io::stdin().as_fd().try_clone_to_owned();
    match (engine, daemon, socket) {
        // Not by returning: threads of the session may still run.
        (Some(engine), Some(daemon), Ok(socket)) => exit(engine.worker(socket, daemon)),
        _ => ExitCode::FAILURE,
    }
}

/// Runs a program with a daemon of its own; gives its exit code.
fn one_program(words: &[OsString]) -> Result<ExitCode, Failure> {
    let [name, arguments @ ..] = words else {
        return Ok(ExitCode::FAILURE);
    };
    let failed = |error: &dyn std::fmt::Display| {
        let cause = format!("cannot start {}: {error}", name.display());
        Failure::new(cause, "name a program that is there").with_code(125)
    };
    let mut daemon = Daemon::new(workers(ENGINES[0].name)).map_err(|error| failed(&error))?;
    let status = program::run(&mut daemon, Command::new(name).args(arguments));
    let status = status.map_err(|error| failed(&error))?;
    Ok(ExitCode::from(program::code(status)))
}
