//! `cargo xtask fuzz`: what a guest, a client or a damaged file may say, at random.

mod engine;
#[path = "../../tests/fuzz/src/list.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "the targets themselves use the rest"
)]
mod list;
mod progress;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use vgpu_bed::cache::Cache;
use vgpu_bed::steps::Steps;
use vgpu_terminal::{Failure, OrMend};

use crate::checkout;
use engine::{Engine, Limit};
use list::{TARGETS, Target};
use progress::Progress;

const EXAMPLES: &str = "\
Examples:
  cargo xtask fuzz                          all targets, a minute each
  cargo xtask fuzz config --seconds 600     one of them, for longer
  cargo xtask fuzz state --runs 10000000    until it was executed so often
  cargo xtask fuzz --list                   what targets there are

What was tried and found new is kept in ~/.cache/vgpu-stub/fuzz/TARGET (VGPU_STUB_CACHE names another folder), and the
next run goes on from there. An input that breaks a rule is written to tests/fuzz/regressions/TARGET/; commit it with what
mends it, as `cargo test -p vgpu-fuzz` runs all of those.

Exit code: 0 if nothing was found, 1 if something was or a target could not run.";

/// Run the fuzz targets
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Which targets [default: all]
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,

    /// How long each runs [default: 60, unless --runs is given]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    seconds: Option<u64>,

    /// How often each is executed, by all its processes together
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    runs: Option<u64>,

    /// Processes that each runs in at a time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=256))]
    jobs: u64,

    /// List the targets
    #[arg(long)]
    list: bool,
}

/// Runs the command.
pub(crate) fn run(options: &Options, steps: &Steps) -> Result<()> {
    if options.list {
        for target in TARGETS {
            println!("{:<12} {}", target.name, target.about);
        }
        return Ok(());
    }
    let limit = Limit {
        time: match (options.seconds, options.runs) {
            (None, Some(_)) => None,
            (seconds, _) => Some(Duration::from_secs(seconds.unwrap_or(60))),
        },
        runs: options.runs,
        jobs: options.jobs,
    };
    let targets = chosen(&options.targets)?;
    let summary = fuzz(&targets, &limit, steps)?;
    println!("\n{summary}");
    summary.ensure_none()
}

/// All targets for `seconds` each: a part of the tests.
pub(crate) fn briefly(seconds: u64, steps: &Steps) -> Result<()> {
    let limit = Limit {
        time: Some(Duration::from_secs(seconds)),
        runs: None,
        jobs: 1,
    };
    let summary = fuzz(&chosen::<&str>(&[])?, &limit, steps)?;
    println!("\n{summary}");
    summary.ensure_none()
}

/// Targets, each so many times `times`: a part of a soak.
pub(crate) fn execute(targets: &[(&str, u64)], times: u64, steps: &Steps) -> Result<()> {
    let mut all = Summary(Vec::new());
    for (name, runs) in targets {
        let limit = Limit {
            time: None,
            runs: Some(runs * times),
            jobs: 1,
        };
        all.0.extend(fuzz(&chosen(&[name])?, &limit, steps)?.0);
    }
    println!("\n{all}");
    all.ensure_none()
}

fn chosen<N: AsRef<str>>(names: &[N]) -> Result<Vec<&'static Target>> {
    if names.is_empty() {
        return Ok(TARGETS.iter().collect());
    }
    Ok(names
        .iter()
        .map(AsRef::as_ref)
        .map(|name| Target::find(name).with_context(|| format!("there is no target {name:?}")))
        .collect::<Result<_>>()
        .or_mend("See what there is: cargo xtask fuzz --list")?)
}

/// Runs the targets, as many at a time as there are processors for them.
fn fuzz(targets: &[&Target], limit: &Limit, steps: &Steps) -> Result<Summary> {
    let engine = Engine::build(steps)?;
    let cache = Cache::open()?;
    let processors = thread::available_parallelism()?.get();
    let at_a_time = processors / usize::try_from(limit.jobs)?.clamp(1, processors);
    let (mut rows, mut failed) = (Vec::new(), None);
    for targets in targets.chunks(at_a_time) {
        let names: Vec<_> = targets.iter().map(|target| target.name).collect();
        let ended = steps.step(&format!("Fuzz {}", names.join(", ")), |step| {
            let run = |target: &Target| {
                let corpus = cache.dir(&format!("fuzz/{}", target.name))?;
                engine.run(target, &corpus, &folder("seeds", target), limit, step)
            };
            thread::scope(|scope| {
                let threads: Vec<_> = targets
                    .iter()
                    .map(|target| scope.spawn(|| run(target)))
                    .collect();
                let join = |thread: thread::ScopedJoinHandle<'_, Result<_>>| {
                    thread.join().ok().context("a thread panicked")?
                };
                Ok(threads.into_iter().map(join).collect::<Vec<_>>())
            })
        })?;
        // One that failed does not lose what another found.
        for (target, progress) in targets.iter().zip(ended) {
            let progress = match progress {
                Ok(progress) => progress,
                Err(error) => {
                    failed.get_or_insert(error);
                    continue;
                }
            };
            let findings = keep(&progress.crashes, &folder("regressions", target))?;
            rows.push(Row {
                target: target.name,
                progress,
                findings,
            });
        }
    }
    failed.map_or(Ok(Summary(rows)), Err)
}

/// A target's folder in the checkout.
fn folder(kind: &str, target: &Target) -> PathBuf {
    checkout().join("tests/fuzz").join(kind).join(target.name)
}

/// Moves what breaks a target to where it is committed.
fn keep(crashes: &[PathBuf], folder: &Path) -> Result<Vec<PathBuf>> {
    let mut kept = Vec::new();
    for crash in crashes {
        let path = folder.join(crash.file_name().context("a crash without a name")?);
        let copy = || -> Result<()> {
            fs::create_dir_all(folder)?;
            let copy = tempfile::NamedTempFile::new_in(folder)?;
            fs::copy(crash, copy.path())?;
            copy.persist(&path)?;
            Ok(())
        };
        copy().with_context(|| format!("cannot keep {}", path.display()))?;
        kept.push(path);
    }
    Ok(kept)
}

/// What became of a target.
struct Row {
    target: &'static str,
    progress: Progress,
    findings: Vec<PathBuf>,
}

struct Summary(Vec<Row>);

impl Summary {
    fn ensure_none(&self) -> Result<()> {
        let found: usize = self.0.iter().map(|row| row.findings.len()).sum();
        if found == 0 {
            return Ok(());
        }
        let cause = format!("inputs that break a rule: {found}");
        let mend = "Replay one as it is named above; mend the code, and commit the file with it.";
        Err(Failure::new(cause, mend).into())
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<10} {:>12} {:>9} {:>9}  findings",
            "target", "executions", "a second", "coverage"
        )?;
        for row in &self.0 {
            let Progress {
                executions,
                coverage,
                ..
            } = row.progress;
            let rate = row.progress.rate();
            let found = row.findings.len();
            writeln!(
                f,
                "{:<10} {executions:>12} {rate:>9} {coverage:>9}  {found}",
                row.target
            )?;
        }
        for row in &self.0 {
            for path in &row.findings {
                let (target, path) = (row.target, path.display());
                writeln!(
                    f,
                    "\nfound: {path}\nreplay: cargo run -p vgpu-fuzz {target} {path}"
                )?;
            }
        }
        Ok(())
    }
}
