//! `vgpu top`: who uses the engines, every few seconds.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use serde::Serialize;
use vgpu_terminal::{Failure, print};
use vgpud::{MachineStatus, SessionState, Status};

use crate::control::ControlArgs;
use crate::table::{self, bytes, percent, time};

const EXAMPLES: &str = "\
Examples:
  vgpu top                                    every second, until Ctrl-C
  vgpu top --every 5 --count 12               for a minute
  vgpu top --json --count 1 | jq .machines    once, for a program

Each line is a virtual machine, and what it did since the last look. JSON is an object a line.

Exit code: 0 after --count looks, 2 if the daemon does not answer, 130 after Ctrl-C.";

/// Show who uses the engines, again and again
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    control: ControlArgs,

    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=3600))]
    every: u64,

    /// How often to look
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,

    /// Print JSON, an object a line
    #[arg(long)]
    json: bool,
}

/// What happened between two looks.
#[derive(Debug, Serialize)]
struct Look {
    seconds: f64,
    /// What part of the time engines worked: above 1 where there are several.
    utilisation: f64,
    machines: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    machine: String,
    /// What part of the time an engine worked for it.
    utilisation: f64,
    sessions: usize,
    waiting: usize,
    launches_per_second: f64,
    bytes_per_second: f64,
    memory_used: u64,
    /// Since it is known; of launches and copies.
    latency_avg_ns: Option<u64>,
    latency_p95_ns: Option<u64>,
    latency_p99_ns: Option<u64>,
    errors: u64,
    resets: u64,
    quarantined: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let mut before = args.control.status()?;
    let mut left = args.count;
    while left != Some(0) {
        thread::sleep(Duration::from_secs(args.every));
        let after = args.control.status()?;
        let look = look(&before, &after);
        print("the look", |out| write(out, &look, args.json))?;
        (before, left) = (after, left.map(|left| left - 1));
    }
    Ok(ExitCode::SUCCESS)
}

fn look(before: &Status, after: &Status) -> Look {
    let passed = after.up_ns.saturating_sub(before.up_ns).max(1) as f64;
    let worked = |status: &Status| status.engines.iter().map(|it| it.engine_ns).sum::<u64>();
    let machines = after.machines.iter().map(|it| {
        let was = before.machines.iter().find(|was| was.machine == it.machine);
        row(was, it, passed)
    });
    Look {
        seconds: passed / 1e9,
        utilisation: worked(after).saturating_sub(worked(before)) as f64 / passed,
        machines: machines.collect(),
    }
}

fn row(was: Option<&MachineStatus>, is: &MachineStatus, passed: f64) -> Row {
    let since = |count: fn(&MachineStatus) -> u64| {
        let before = was.map_or(0, count);
        count(is).saturating_sub(before) as f64 / passed
    };
    let bytes = |it: &MachineStatus| {
        let work = &it.work;
        work.bytes_in
            .saturating_add(work.bytes_out)
            .saturating_add(work.bytes_inside)
    };
    let waiting = is
        .sessions
        .iter()
        .filter(|it| it.state == SessionState::Waits);
    Row {
        machine: is.machine.to_string(),
        utilisation: since(|it| it.work.engine_ns),
        sessions: is.sessions.len(),
        waiting: waiting.count(),
        launches_per_second: since(|it| it.work.launches) * 1e9,
        bytes_per_second: since(bytes) * 1e9,
        memory_used: is.memory_used,
        latency_avg_ns: is.work.latency_avg_ns,
        latency_p95_ns: is.work.latency_p95_ns,
        latency_p99_ns: is.work.latency_p99_ns,
        errors: is.work.errors,
        resets: is.resets,
        quarantined: is.quarantined,
    }
}

fn write(out: &mut dyn Write, look: &Look, json: bool) -> io::Result<()> {
    if json {
        serde_json::to_writer(&mut *out, look)?;
        return writeln!(out);
    }
    if io::stdout().is_terminal() {
        // To the first line, and nothing behind it.
        write!(out, "\x1b[H\x1b[J")?;
    }
    let busy = percent(look.utilisation);
    writeln!(out, "engines worked {busy} of {:.1} s\n", look.seconds)?;
    let columns = [
        ("machine", true),
        ("engine", false),
        ("sessions", false),
        ("waiting", false),
        ("launches/s", false),
        ("copied/s", false),
        ("memory", false),
        ("latency", false),
        ("p95", false),
        ("p99", false),
        ("errors", false),
        ("resets", false),
        ("", true),
    ];
    let rows = look.machines.iter().map(|it| {
        vec![
            it.machine.clone(),
            percent(it.utilisation),
            it.sessions.to_string(),
            it.waiting.to_string(),
            format!("{:.0}", it.launches_per_second),
            bytes(it.bytes_per_second as u64),
            bytes(it.memory_used),
            time(it.latency_avg_ns),
            time(it.latency_p95_ns),
            time(it.latency_p99_ns),
            it.errors.to_string(),
            it.resets.to_string(),
            if it.quarantined { "quarantined" } else { "" }.to_owned(),
        ]
    });
    table::write(out, &columns, &rows.collect::<Vec<_>>())
}
