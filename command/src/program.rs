//! One program with a device of its own: a daemon in this process, a worker for
//! each process that opens the device, and nothing left after them.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus};
use std::time::Duration;

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use vgpu_service::{Attachment, EngineKind};
use vgpu_terminal::Failure;
use vgpud::Daemon;

/// What this program is where it starts itself.
type Role = fn(&[OsString]) -> ExitCode;

/// Its first argument there.
pub(crate) const ROLES: [(&str, Role); 2] = [(WORKER, worker), (PROGRAM, program)];

/// Serves a session: the engine's name and the daemon's number follow.
const WORKER: &str = "vgpu:worker";
/// Becomes the program: the daemon's number, its descriptor for who cannot, and the program follow.
const PROGRAM: &str = "vgpu:program";
/// The same file, even where another was installed in its place.
const SELF: &str = "/proc/self/exe";

/// The exit code of a command whose other exit codes are a program's, as in env(1).
const COULD_NOT_RUN_A_PROGRAM: u8 = 125;

/// The failure of a command that would have passed a program's exit code on.
pub(crate) fn not_started(failure: Failure) -> Failure {
    failure.with_code(COULD_NOT_RUN_A_PROGRAM)
}

/// What a program is to have.
#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) engine: &'static EngineKind,
    /// A variable of its environment, beside the device's own.
    pub(crate) environment: (&'static str, OsString),
    /// A trace's memory.
    pub(crate) trace: Option<OwnedFd>,
}

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// Whether it ran; else the status is that of who should have become it, who has said why not.
    pub(crate) ran: bool,
}

/// Runs a program, and waits for its end.
///
/// # Errors
/// There are no resources for it.
pub(crate) fn run(words: &[OsString], device: &Device) -> Result<Ended, Failure> {
    let failed = |what: &str, error: &dyn std::fmt::Display| {
        let cause = format!("cannot {what}: {error}");
        let mend = "see whether this user has processes and descriptors left (ulimit -a)";
        Failure::new(cause, mend)
    };
    let worker = vec![SELF.into(), WORKER.into(), device.engine.name.into()];
    let mut daemon = Daemon::new(worker).map_err(|error| failed("open a socket", &error))?;
    let (not_run, sender) = io::pipe().map_err(|error| failed("open a pipe", &error))?;
    let mut command = Command::new(SELF);
    let (name, value) = &device.environment;
    command
        .args([PROGRAM, &std::process::id().to_string()])
        .arg(sender.as_raw_fd().to_string())
        .args(words)
        .env(name, value);
    match &device.trace {
        Some(memory) => {
            let path = descriptor(std::process::id(), memory.as_raw_fd());
            command.env(vgpu_trace::VARIABLE, path)
        }
        None => command.env_remove(vgpu_trace::VARIABLE),
    };
    let status = vgpud::program::run(&mut daemon, &mut command)
        .map_err(|error| failed("start a process", &error))?;
    let ran = !vgpu_poll::is_readable(&not_run, Duration::ZERO).unwrap_or(false);
    Ok(Ended { status, ran })
}

/// The path of a process's descriptor, for its children: it is not inherited.
fn descriptor(process: u32, number: i32) -> String {
    format!("/proc/{process}/fd/{number}")
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
        (Some(engine), Some(daemon), Ok(socket)) => {
            std::process::exit(engine.worker(Attachment::Local, socket, daemon))
        }
        _ => ExitCode::FAILURE,
    }
}

/// Has the program killed with its daemon, and becomes it.
fn program(arguments: &[OsString]) -> ExitCode {
    let [daemon, not_run, program, rest @ ..] = arguments else {
        return ExitCode::FAILURE;
    };
    let daemon = daemon.to_str().and_then(|number| number.parse().ok());
    let bound = set_parent_process_death_signal(Some(Signal::KILL));
    if bound.is_err() || getppid().map(Pid::as_raw_pid) != daemon {
        return ExitCode::FAILURE;
    }
    let not_run = not_run.to_str().and_then(|number| number.parse().ok());
    let not_run = daemon.zip(not_run);
    let error = Command::new(program).args(rest).exec();
    // Where it cannot be told, the exit code still does.
    if let Some((daemon, number)) = not_run {
        let pipe = File::options()
            .write(true)
            .open(descriptor(daemon.cast_unsigned(), number));
        let _ = pipe.and_then(|mut pipe| pipe.write_all(b"."));
    }
    let name = program.display();
    let failure = match error.kind() {
        ErrorKind::NotFound => {
            let path = env::var_os("PATH").unwrap_or_default();
            let mend = match program.as_encoded_bytes().contains(&b'/') {
                true => "name a file that is there; a script also needs the interpreter in its first line".to_owned(),
                false if Path::new(program).is_file() => format!(
                    "to run the file in this folder, name it as ./{name}; before a script, put its interpreter, such as python3"
                ),
                false => format!("name one that is in PATH ({})", path.display()),
            };
            Failure::new(format!("there is no program {name}"), mend).with_code(127)
        }
        kind => {
            let (cause, mend) = match kind {
                _ if Path::new(program).is_dir() => {
                    ("it is a folder".into(), "name a program in it")
                }
                ErrorKind::InvalidFilename => (error.to_string(), "give it a shorter name"),
                _ => (
                    error.to_string(),
                    "name a program that this user may execute",
                ),
            };
            Failure::new(format!("cannot start {name}: {cause}"), mend).with_code(126)
        }
    };
    failure.report()
}
