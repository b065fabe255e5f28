//! `vgpu status`: engines, machines and sessions at a glance.

use std::io::{self, Write};
use std::process::ExitCode;

use vgpu_terminal::{Failure, Printable, json, print};
use vgpud::Status;

use crate::control::ControlArgs;
use crate::table::{self, bytes, time};

const EXAMPLES: &str = "\
Examples:
  vgpu status
  vgpu status --control /run/vgpu/vgpud --json

It asks the daemon of this host's virtual machines, `vgpud link --control`.

Exit code: 0 if it was told, 2 if the daemon does not answer.";

/// Show engines, virtual machines and their sessions
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    control: ControlArgs,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let status = args.control.status()?;
    print("the status", |out| match args.json {
        true => json(out, &status),
        false => write(out, &status),
    })?;
    Ok(ExitCode::SUCCESS)
}

fn write(out: &mut dyn Write, status: &Status) -> io::Result<()> {
    if let Some(workers) = &status.workers {
        writeln!(out, "workers' users    {}", Printable(&workers.users))?;
        writeln!(out, "control groups    {}\n", Printable(&workers.groups))?;
    }
    let engines = status.engines.iter().map(|it| {
        let (name, kind) = (it.name.clone(), it.kind.clone());
        vec![
            name,
            kind,
            it.sessions.to_string(),
            time(Some(it.engine_ns)),
            it.switches.to_string(),
        ]
    });
    let columns = [
        ("engine", true),
        ("kind", true),
        ("sessions", false),
        ("worked", false),
        ("switches", false),
    ];
    table::write(out, &columns, &engines.collect::<Vec<_>>())?;
    writeln!(out)?;
    let columns = [
        ("machine", true),
        ("pool", true),
        ("weight", false),
        ("priority", true),
        ("sessions", false),
        ("memory", false),
        ("of", false),
        ("pinned", false),
        ("queued", false),
        ("user", false),
        ("worked", false),
        ("p99", false),
        ("", true),
    ];
    let machines = status.machines.iter().map(|it| {
        vec![
            it.machine.to_string(),
            it.pool.clone(),
            it.weight.to_string(),
            format!("{:?}", it.priority).to_lowercase(),
            it.sessions.len().to_string(),
            bytes(it.memory_used),
            it.memory_quota.map_or("all".to_owned(), bytes),
            bytes(it.pinned),
            bytes(it.work.queued_bytes),
            it.workers_user
                .map_or("-".to_owned(), |user| user.to_string()),
            time(Some(it.work.engine_ns)),
            time(it.work.latency_p99_ns),
            if it.quarantined { "quarantined" } else { "" }.to_owned(),
        ]
    });
    table::write(out, &columns, &machines.collect::<Vec<_>>())
}
