//! What idle servers cost a host together.

use std::fmt;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use rustix::process::Pid;
use serde::Serialize;
use vgpu_bed::server::Server;
use vgpu_bed::steps::Steps;
use vgpu_terminal::Failure;

use super::EXAMPLES;
use super::conditions::Conditions;
use crate::programs;

/// How many servers there are in each row.
const SERVERS: [usize; 3] = [1, 16, 64];
/// What the most of them may hold together.
const BOUND_MIB: f64 = 128.0;
/// After its start a server is left alone this long.
const SETTLE: Duration = Duration::from_secs(1);
/// How long their processor time is watched.
const IDLE: Duration = Duration::from_secs(5);

/// Measure what 1, 16 and 64 idle servers of vfio-user cost together
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Report {
    bound_mib: f64,
    idle_s: u64,
    rows: Vec<Row>,
    #[serde(flatten)]
    conditions: Conditions,
}

/// What some servers cost.
#[derive(Debug, Serialize)]
struct Row {
    servers: usize,
    /// Their processes, with those that guard them.
    processes: usize,
    /// Proportional set size of all, in MiB.
    memory_mib: f64,
    /// Processor time of all while they were idle, in nanoseconds.
    processor_ns: u64,
    /// From a server's start until it says that it is ready, in milliseconds: the median, and the longest.
    ready_ms: f64,
    longest_ready_ms: f64,
}

pub(super) fn run(options: &Options, steps: &Steps) -> Result<()> {
    let program = programs::build(steps)?;
    let conditions = Conditions::new(&program, &[])?;
    let rows = steps.step("Measure idle servers", |step| {
        SERVERS
            .iter()
            .map(|count| {
                step.say(&format!("{count} servers"));
                measure(&program, *count)
            })
            .collect::<Result<Vec<_>>>()
    })?;
    let report = Report {
        bound_mib: BOUND_MIB,
        idle_s: IDLE.as_secs(),
        rows,
        conditions,
    };
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("\n{report}");
    }
    report.ensure_bound()
}

fn measure(program: &Path, count: usize) -> Result<Row> {
    let mut servers = Vec::new();
    let mut times = Vec::new();
    for _ in 0..count {
        let started = Instant::now();
        servers.push(Server::start(program, [""; 0])?);
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    thread::sleep(SETTLE);
    let mut processes = Vec::new();
    for server in &servers {
        processes.push(server.pid());
        processes.extend(children(server.pid())?);
    }
    let sum =
        |of: fn(Pid) -> Result<u64>| processes.iter().map(|pid| of(*pid)).sum::<Result<u64>>();
    let before = sum(processor_ns)?;
    thread::sleep(IDLE);
    let processor_ns = sum(processor_ns)? - before;
    let memory_kib = sum(memory_kib)?;
    times.sort_by(f64::total_cmp);
    Ok(Row {
        servers: count,
        processes: processes.len(),
        memory_mib: memory_kib as f64 / 1024.0,
        processor_ns,
        ready_ms: times[times.len() / 2],
        longest_ready_ms: times[times.len() - 1],
    })
}

/// Processes that one has started.
fn children(pid: Pid) -> Result<Vec<Pid>> {
    let mut all = Vec::new();
    for thread in tasks(pid)? {
        let listed = fs::read_to_string(thread.join("children"))?;
        for child in listed.split_whitespace() {
            all.push(Pid::from_raw(child.parse()?).context("no process")?);
        }
    }
    Ok(all)
}

/// The folders of a process's threads.
fn tasks(pid: Pid) -> Result<Vec<std::path::PathBuf>> {
    let entries = fs::read_dir(format!("/proc/{pid}/task"))?;
    entries.map(|entry| Ok(entry?.path())).collect()
}

/// The processor time that a process has used, by the scheduler's own count.
fn processor_ns(pid: Pid) -> Result<u64> {
    let time = |thread: &std::path::PathBuf| -> Result<u64> {
        let text = fs::read_to_string(thread.join("schedstat"))?;
        let first = text.split(' ').next().context("no time")?;
        first.parse().context("no time")
    };
    tasks(pid)?.iter().map(time).sum()
}

/// The proportional set size of a process.
fn memory_kib(pid: Pid) -> Result<u64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB"));
    kib.context("no Pss")?.trim().parse().context("no Pss")
}

impl Report {
    fn ensure_bound(&self) -> Result<()> {
        let busy = self.rows.iter().find(|row| row.processor_ns > 0);
        if let Some(row) = busy {
            return Err(Failure::new(
                format!(
                    "{} idle servers used the processor for {} ns",
                    row.servers, row.processor_ns
                ),
                "See what wakes them: strace -f -p PID.",
            )
            .into());
        }
        match self.rows.last() {
            Some(row) if row.memory_mib >= BOUND_MIB => Err(Failure::new(
                format!(
                    "{} servers hold {:.1} MiB, not less than {BOUND_MIB}",
                    row.servers, row.memory_mib
                ),
                "See what holds it: /proc/PID/smaps.",
            )
            .into()),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "What idle servers cost together\n")?;
        writeln!(
            f,
            "  servers  processes     memory  a server's   processor    ready  longest"
        )?;
        for row in &self.rows {
            writeln!(
                f,
                "  {:>7}  {:>9}  {:>5.1} MiB  {:>6.2} MiB  {:>6} ns  {:>4.1} ms  {:>4.1} ms",
                row.servers,
                row.processes,
                row.memory_mib,
                row.memory_mib / row.servers as f64,
                row.processor_ns,
                row.ready_ms,
                row.longest_ready_ms
            )?;
        }
        let rows = [
            (
                "bound",
                format!(
                    "{BOUND_MIB} MiB for the last row; no processor time in {} s",
                    self.idle_s
                ),
            ),
            ("machine", self.conditions.machine.clone()),
            ("versions", self.conditions.versions()),
            ("command", self.conditions.command.clone()),
        ];
        writeln!(f)?;
        for (name, value) in rows {
            writeln!(f, "  {name:<10} {value}")?;
        }
        Ok(())
    }
}
