//! `vgpu-stub ctl`: talks to a running device over its control socket.

mod answer;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use vgpu_control::{Client, ClientError};
use vgpu_terminal::Failure;

use answer::Answer;
use vgpu_emulator::number;

const EXAMPLES: &str = "\
Examples:
  vgpu-stub ctl --control /run/vgpu/control info
  export VGPU_STUB_CONTROL=/run/vgpu/control
  vgpu-stub ctl registers
  vgpu-stub ctl set-status 0x1
  vgpu-stub ctl trace on                     log what the guest does
  vgpu-stub ctl --json counters | jq .bar0_reads
  vgpu-stub ctl shutdown";

const DETAILS: &str = "\
Exit code:
  0  done
  1  the server refused
  2  the command could not run: wrong usage, no server, no answer in time

JSON is the server's result, such as
  {\"command\": 0, \"status\": 1, \"data_offset\": 0, \"data_length\": 0, \"request_id\": 0}
and an empty object where there is nothing to tell. All numbers are decimal
there. docs/control.md describes the fields, and the protocol for programs.";

/// Talk to a running device: registers, Status, counters, tracing, shutdown.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{DETAILS}"))]
pub(crate) struct Args {
    /// Control socket of the process that has the device
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "VGPU_STUB_CONTROL",
        hide_env_values = true
    )]
    control: Option<PathBuf>,

    /// Number of the device, in a process that has several
    #[arg(
        long,
        global = true,
        value_name = "N",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    device: u32,

    /// How long the server may take, in seconds
    #[arg(
        long,
        global = true,
        value_name = "SECONDS",
        default_value_t = 5,
        value_parser = clap::value_parser!(u64).range(1..=86400)
    )]
    timeout: u64,

    /// Print JSON in place of lines
    #[arg(long, global = true)]
    json: bool,

    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Copy, clap::Subcommand)]
enum Command {
    /// Print the registers of BAR0
    #[command(after_help = example("registers"))]
    Registers,
    /// Write the Status register, which the guest can only read
    #[command(after_help = example("set-status 0x1"))]
    SetStatus {
        /// The new value, decimal or with 0x in front hexadecimal
        #[arg(value_parser = register_value, allow_negative_numbers = true)]
        value: u32,
    },
    /// Print how often the guest did what
    #[command(after_help = example("--json counters | jq .bar0_reads"))]
    Counters,
    /// Log the guest's accesses, or stop that
    #[command(after_help = example("trace on"))]
    Trace {
        /// Whether they are logged
        #[arg(value_name = "on|off")]
        access: Switch,
    },
    /// Print what the device is, and how it is doing
    #[command(after_help = example("info"))]
    Info,
    /// End the process that has the device
    #[command(after_help = example("shutdown"))]
    Shutdown,
}

/// The end of a command's help.
fn example(words: &str) -> String {
    format!(
        "Example:\n  vgpu-stub ctl --control /run/vgpu/control {words}\n\n\
         Exit code: 0 if done, 1 if the server refused, 2 if it could not be asked."
    )
}

#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
enum Switch {
    On,
    Off,
}

/// 32 bits.
fn register_value(text: &str) -> Result<u32, String> {
    number::parse(text)
        .and_then(|value| u32::try_from(value).ok())
        .ok_or_else(|| "expected a number from 0 to 4294967295, or from 0x0 to 0xffffffff".into())
}

/// Sends the command and prints the result.
///
/// # Errors
///
/// No server answers as it should. That it refuses the command is no error:
/// it is in the exit code.
pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let path = args.control.as_deref().ok_or_else(|| {
        Failure::new(
            "no control socket is given",
            "add --control PATH, or set VGPU_STUB_CONTROL",
        )
    })?;
    let answer = match ask(path, args) {
        Ok(answer) => answer,
        Err(error) => {
            let failure = Failure::new(error.to_string(), error.mend());
            return match error {
                ClientError::Refused(_) => {
                    failure.print();
                    Ok(ExitCode::FAILURE)
                }
                _ => Err(failure),
            };
        }
    };
    vgpu_terminal::print("the result", |out| match args.json {
        true => vgpu_terminal::json(out, &answer),
        false => answer.write(out),
    })?;
    Ok(ExitCode::SUCCESS)
}

fn ask(path: &Path, args: &Args) -> Result<Answer, ClientError> {
    let device = args.device;
    let mut client = Client::connect(path, Duration::from_secs(args.timeout))?;
    Ok(match args.command {
        Command::Registers => Answer::Registers(client.registers(device)?),
        Command::SetStatus { value } => {
            client.set_status(device, value)?;
            Answer::Done {}
        }
        Command::Counters => Answer::Counters(client.counters(device)?),
        Command::Trace { access } => {
            client.trace_access(device, access == Switch::On)?;
            Answer::Done {}
        }
        Command::Info => Answer::Info {
            info: client.info(device)?,
            server: client.greeting().clone(),
        },
        Command::Shutdown => {
            client.shutdown()?;
            Answer::Done {}
        }
    })
}
