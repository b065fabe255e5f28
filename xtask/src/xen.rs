//! `cargo xtask xen`: scenarios on real Xen.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use vgpu_bed::cache::Cache;
use vgpu_bed::guest::{GuestImage, GuestProgram};
use vgpu_bed::steps::Steps;
use vgpu_terminal::{Failure, OrMend, describe};
use xen_bed::{Bed, Outcome, Scenario, XenVersion};

use crate::checkout;

const EXAMPLES: &str = "\
Examples:
  cargo xtask xen                            list the scenarios that there are
  cargo xtask xen lspci                      run one of them
  cargo xtask xen my-scenario.sh --xen 4.17  run one of your own, on an older Xen
  cargo xtask xen my-scenario.sh --file vgpu-stub=target/release/vgpu-stub
                                             with a program, /host/vgpu-stub in dom0

tests/xen-bed/README.md says how to write a scenario.

Exit code: 0 if every scenario ended with status 0, 1 otherwise.";

/// The folder of the scenarios that come with the bed.
const SCENARIOS: &str = "tests/xen-bed/scenarios";

/// Run shell scripts in the dom0 of a real Xen
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Scenarios, by name or by path [default: list them]
    #[arg(value_name = "SCENARIO")]
    scenarios: Vec<PathBuf>,

    /// The version of Xen: 4.20 or 4.17
    #[arg(long, default_value_t)]
    xen: XenVersion,

    /// Copy a file to /host/NAME in dom0; may be repeated
    #[arg(long, value_name = "NAME=PATH", value_parser = named_file)]
    file: Vec<(String, PathBuf)>,

    /// Copy a static program to /bin/NAME in guests; may be repeated
    #[arg(long, value_name = "NAME=PATH", value_parser = named_file)]
    guest_file: Vec<(String, PathBuf)>,

    /// How long a scenario may take before its machine counts as hung, in seconds [default: 120]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,

    /// Keep the folders with the logs
    #[arg(long)]
    keep: bool,
}

/// Runs the command.
pub(crate) fn run(options: &Options, steps: &Steps) -> Result<()> {
    if options.scenarios.is_empty() {
        return list(&checkout().join(SCENARIOS));
    }
    let scripts = options
        .scenarios
        .iter()
        .map(|name| read(name))
        .collect::<Result<Vec<_>>>()?;
    let cache = Cache::open()?;
    let bed = Bed::open(&cache, steps, options.xen)?;
    let programs: Vec<_> = options
        .guest_file
        .iter()
        .map(|(name, file)| GuestProgram { name, file })
        .collect();
    let guest = GuestImage::assemble(&cache, &programs, steps)?;

    let mut failed = 0;
    for (name, script) in options.scenarios.iter().zip(scripts) {
        let mut scenario = Scenario::new(script).guest(&guest);
        for (name, file) in &options.file {
            scenario = scenario.file(name, file);
        }
        if let Some(limit) = options.limit {
            scenario = scenario.limit(Duration::from_secs(limit));
        }
        let started = Instant::now();
        let result = bed.run(&scenario);
        let passed = report(result, options.keep);
        let verdict = if passed { "passed" } else { "FAILED" };
        println!(
            "{verdict}  {} ({:.1} s)",
            name.display(),
            started.elapsed().as_secs_f64()
        );
        failed += usize::from(!passed);
    }
    if failed == 0 {
        return Ok(());
    }
    Err(Failure::new(
        format!("{failed} of {} scenarios failed", options.scenarios.len()),
        "Read their output and logs, which are named above.",
    )
    .into())
}

/// Prints how a scenario ended, and returns whether it did what it should.
fn report(result: Result<Outcome>, keep: bool) -> bool {
    let outcome = match result {
        Ok(outcome) => outcome,
        Err(error) => {
            eprint!("{}", describe(&error));
            return false;
        }
    };
    print!("{}", outcome.output);
    if outcome.status != 0 {
        println!("exit status {}", outcome.status);
    }
    if keep || outcome.status != 0 {
        println!("logs: {}", outcome.keep_folder().display());
    }
    outcome.status == 0
}

/// Prints the names of the scenarios in `folder`, with their first comments.
fn list(folder: &Path) -> Result<()> {
    let mut names = fs::read_dir(folder)
        .and_then(|entries| {
            entries
                .map(|entry| Ok(entry?.path()))
                .collect::<Result<Vec<_>, _>>()
        })
        .with_context(|| format!("cannot read {}", folder.display()))?;
    names.sort();
    println!("Scenarios in {SCENARIOS}:");
    for path in names {
        let script = fs::read_to_string(&path)?;
        let about = script.lines().find_map(|line| line.strip_prefix("# "));
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        println!("  {name:<20} {}", about.unwrap_or_default());
    }
    println!("\nRun one: cargo xtask xen NAME");
    Ok(())
}

/// The script at a path, or with a name among those that come with the bed.
fn read(name: &Path) -> Result<String> {
    let own = checkout().join(SCENARIOS).join(name).with_extension("sh");
    let path = if name.is_file() { name } else { &own };
    Ok(fs::read_to_string(path)
        .with_context(|| format!("there is no scenario {}", name.display()))
        .or_mend("See which there are: cargo xtask xen")?)
}

fn named_file(argument: &str) -> Result<(String, PathBuf), String> {
    let (name, path) = argument
        .split_once('=')
        .ok_or("it must be NAME=PATH, such as vgpu-stub=target/release/vgpu-stub")?;
    Ok((name.to_string(), path.into()))
}
