//! The command `vgpud`.

use std::env;
use std::ffi::OsString;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::{Command, ExitCode, exit};
use std::str::FromStr;

use clap::builder::{PossibleValue, PossibleValuesParser};
use clap::{Args, CommandFactory, Parser, Subcommand};
use vgpu_service::{Attachment, ECHOES, ENGINES, EngineKind, Tuning};
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

const LINK_EXAMPLES: &str = "\
Examples:
  vgpud link --socket /run/user/1000/vgpu.sock               this user's machines
  vgpud link --socket /run/vgpu/link --config /etc/vgpu/link.toml --control /run/vgpu/vgpud
  vgpud link --socket /tmp/link --engine echo                to prove the way to a guest

Without a configuration, emulators of this user may attach, for any machine. With one, those of the
users that it names, each for its machines; root or this user owns it, and nobody else can write to it.
It is read anew for each emulator that connects, on SIGHUP, and by `vgpu reload`:

  [[machine]]
  uuid = \"1b4e28ba-2fa1-11d2-883f-0016d3cca427\"
  uid = 64055           # the user of its emulator
  channels = 16         # CUDA programs at a time: 64 unless it is said
  memory-mib = 4096     # of the guest's memory that they share: 1024 unless it is said
  device-memory-mib = 8192   # of the device: all of it unless it is said
  weight = 200          # its part of the engine, relative to others: 100 unless it is said
  priority = \"high\"     # low, medium or high

docs/shares.md has all that can be said: engines, pools of them, and bounds of engine time.

Each channel of a guest has a process that executes its work, and that ends with it and with its
emulator. Where this daemon is killed, they go on for 5 s, until another one takes them over.

SIGTERM and SIGINT end the daemon and these processes; guests are told that their channels are lost.

Exit code: 0 if it was asked to end; 2 if it could not begin.";

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
    Link(LinkArgs),
    Run(RunArgs),
}

/// Stand by for virtual machines, whose emulators attach at a socket
#[derive(Args)]
#[command(after_help = LINK_EXAMPLES)]
struct LinkArgs {
    /// Where emulators attach
    #[arg(long, value_name = "PATH")]
    socket: PathBuf,
    /// Who may attach, and for what
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where operators ask: `vgpu status`, `vgpu top`, `vgpu metrics`, `vgpu reload`, `vgpu quarantine`
    #[arg(long, value_name = "PATH")]
    control: Option<PathBuf>,
    /// Append a line of JSON to this file for each session that is opened, adopted or over
    #[arg(long, value_name = "FILE")]
    audit: Option<PathBuf>,
    /// What executes the guests' work, where the configuration names no engine
    #[arg(long, value_name = "ENGINE", default_value = ENGINES[0].name, value_parser = engines(&ECHOES))]
    engine: String,
}

/// Stand by for all programs of this user
#[derive(Args)]
#[command(after_help = SERVE_EXAMPLES)]
struct ServeArgs {
    /// What executes the programs' work
    #[arg(long, value_name = "ENGINE", default_value = ENGINES[0].name, value_parser = engines(&[]))]
    engine: String,
}

/// Serve one program, with the default engine: the tests here run it, people have `vgpu run`
#[derive(Args)]
#[command(hide = true)]
struct RunArgs {
    #[arg(required = true, trailing_var_arg = true, value_name = "PROGRAM")]
    program: Vec<OsString>,
}

/// [`ENGINES`], and others.
fn engines(others: &'static [EngineKind]) -> PossibleValuesParser {
    let values = ENGINES.iter().chain(others);
    let values = values.map(|engine| PossibleValue::new(engine.name).help(engine.about));
    PossibleValuesParser::new(values)
}

/// The definition of the command line.
#[must_use]
pub fn command() -> clap::Command {
    Cli::command()
}

/// Its first argument where it starts itself as a worker: the engine's name follows, its tuning and its user where
/// there are any, and the daemon's number.
const WORKERS: [(&str, Attachment); 2] = [
    ("worker", Attachment::Local),
    ("channel", Attachment::Channel),
];

/// Does what the arguments of this process ask for.
#[must_use]
pub fn run() -> ExitCode {
    let mut words = env::args_os().skip(1);
    let first = words.next().unwrap_or_default();
    if let Some((_, attachment)) = WORKERS.iter().find(|(word, _)| first == *word) {
        return worker(*attachment, &words.collect::<Vec<_>>());
    }
    let done = match Cli::try_parse() {
        Ok(cli) => match cli.command {
            Task::Serve(args) => serve::serve(workers(Attachment::Local, Some(&args.engine)))
                .map(|()| ExitCode::SUCCESS),
            Task::Link(args) => {
                let command = workers(Attachment::Channel, None);
                let places = serve::LinkPlaces {
                    socket: args.socket,
                    config: args.config,
                    control: args.control,
                    audit: args.audit,
                };
                serve::link(places, &args.engine, command).map(|()| ExitCode::SUCCESS)
            }
            Task::Run(args) => one_program(&args.program),
        },
        Err(error) => Err(misused(&error)),
    };
    done.unwrap_or_else(|failure| failure.report())
}

/// The command that starts a worker: the same file, even where another was installed in its place.
/// Without an engine, it is named for each.
fn workers(attachment: Attachment, engine: Option<&str>) -> Vec<OsString> {
    let words = WORKERS.iter().filter(|(_, it)| *it == attachment);
    let words = words.map(|(word, _)| *word).chain(engine);
    let own = OsString::from("/proc/self/exe");
    [own].into_iter().chain(words.map(OsString::from)).collect()
}

/// A word of a worker's.
fn parsed<T: FromStr>(word: &OsString) -> Option<T> {
    word.to_str()?.parse().ok()
}

fn worker(attachment: Attachment, arguments: &[OsString]) -> ExitCode {
    let [engine, rest @ .., daemon] = arguments else {
        return ExitCode::FAILURE;
    };
    let (tuning, user) = match rest {
        [] => (Some(Tuning::default()), Some(None)),
        [tuning] => (parsed(tuning), Some(None)),
        [tuning, user] => (parsed(tuning), parsed(user).map(Some)),
        _ => (None, None),
    };
    let engine = engine.to_str().and_then(EngineKind::named);
    let daemon = parsed(daemon);
    let socket = std::io::stdin().as_fd().try_clone_to_owned();
    match (engine, tuning, user, daemon, socket) {
        // Not by returning: threads of the session may still run.
        (Some(engine), Some(tuning), Some(user), Some(daemon), Ok(socket)) => {
            exit(engine.tuned_worker(&tuning, attachment, socket, daemon, user))
        }
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
    let mut daemon = Daemon::new(workers(Attachment::Local, Some(ENGINES[0].name)))
        .map_err(|error| failed(&error))?;
    let status = program::run(&mut daemon, Command::new(name).args(arguments));
    let status = status.map_err(|error| failed(&error))?;
    Ok(ExitCode::from(program::code(status)))
}
