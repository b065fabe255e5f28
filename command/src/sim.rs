//! `vgpu sim`: what machines would get of an engine, by the scheduler that divides real ones.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use vgpu_sched::simulation::{Report, Scenario, run as simulate};
use vgpu_terminal::{Failure, json, print};

use crate::table;

const EXAMPLES: &str = "\
Examples:
  vgpu sim thirty.toml
  vgpu sim --json thirty.toml | jq .jain

A scenario is a TOML file. This is one of thirty machines, one of which floods the engine:

  seconds = 60
  switch-us = 60        # what a lease costs that goes from one session to another
  [engine]
  window-us = 2000      # also patience-ms, watchdog-ms, ageing-ms, strikes
  [[vm]]
  name = \"flood\"
  kernel-us = 500       # it always has more
  [[vm]]
  name = \"desk\"
  count = 29
  priority = \"high\"
  kernel-us = [50, 400] # each length as likely
  every-us = 50000      # on average; at random, by seed

docs/shares.md has all that can be said. The same file gives the same report.

Exit code: 0 if it was simulated, 2 if the file is wrong.";

/// Simulate what virtual machines get of an engine
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// What is simulated
    #[arg(value_name = "FILE")]
    scenario: PathBuf,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let path = args.scenario.display();
    let mend = "correct the file: `vgpu sim --help` has an example";
    let text = fs::read_to_string(&args.scenario).map_err(|error| {
        Failure::new(
            format!("cannot read {path}: {error}"),
            "name a file that is there",
        )
    })?;
    let scenario: Scenario = toml::from_str(&text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        let line = 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
        let message = error.message().replace('\n', " ");
        Failure::new(format!("{path}:{line}: {message}"), mend)
    })?;
    let report =
        simulate(&scenario).map_err(|error| Failure::new(format!("{path}: {error}"), mend))?;
    print("the report", |out| match args.json {
        true => json(out, &report),
        false => write(out, &report),
    })?;
    Ok(ExitCode::SUCCESS)
}

fn write(out: &mut dyn std::io::Write, report: &Report) -> std::io::Result<()> {
    let columns = [
        ("machine", true),
        ("weight", false),
        ("priority", true),
        ("share", false),
        ("kernels", false),
        ("latency", false),
        ("p95", false),
        ("p99", false),
        ("longest", false),
        ("expired", false),
        ("", true),
    ];
    let milliseconds = |time: Option<f64>| time.map_or("-".to_owned(), |ms| format!("{ms:.2} ms"));
    let rows = report.machines.iter().map(|vm| {
        vec![
            vm.name.clone(),
            vm.weight.to_string(),
            format!("{:?}", vm.priority).to_lowercase(),
            table::percent(vm.share),
            vm.kernels.to_string(),
            milliseconds(vm.latency_ms),
            milliseconds(vm.p95_ms),
            milliseconds(vm.p99_ms),
            milliseconds(vm.longest_ms),
            vm.expired.to_string(),
            if vm.quarantined { "quarantined" } else { "" }.to_owned(),
        ]
    });
    table::write(out, &columns, &rows.collect::<Vec<_>>())?;
    let (seconds, busy) = (report.seconds, table::percent(report.utilisation));
    write!(out, "\n{seconds} s, of which the engine worked {busy}")?;
    match report.jain {
        Some(jain) => writeln!(
            out,
            "; Jain's index of those that always had work: {jain:.4}"
        ),
        None => writeln!(out),
    }
}
