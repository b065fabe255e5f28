//! tinygrad's own operator tests, which are in its repository and not in its wheel.

use std::fs;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use anyhow::{Context, Result};
use clap::Args;
use serde::Deserialize;
use vgpu_bed::cache::Cache;
use vgpu_bed::host_packages::{self, Package};
use vgpu_bed::steps::Steps;
use vgpu_terminal::Failure;

use super::{Installed, python, quick};
use crate::pypi::PYTHON;

const EXAMPLES: &str = "\
Examples:
  git clone https://github.com/tinygrad/tinygrad ~/tinygrad
  cargo xtask cuda tinygrad-ops --checkout ~/tinygrad
  cargo xtask cuda tinygrad-ops --checkout ~/tinygrad test_add test_matmul

Each test holds tinygrad on the CPU engine against PyTorch. One that fails is tried once more on
tinygrad's own CPU backend: where it fails there too, it is not for the engine. PyTorch and NumPy are
those of --python; Debian's are installed for /usr/bin/python3 where they are missing.

Exit code: 0 if nothing failed but what fails on the CPU backend too, 1 otherwise.";

/// How many tests pass at least, of all.
const PASSED: usize = 358;

/// Run the operator tests of a checkout of tinygrad
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// The checkout; its own tinygrad is tried
    #[arg(long, value_name = "FOLDER")]
    checkout: PathBuf,

    /// A Python with PyTorch and NumPy
    #[arg(long, value_name = "PROGRAM", default_value = PYTHON)]
    python: PathBuf,

    /// The back end, in tinygrad's words; one of sm_80 and above gives `mma`
    #[arg(long, value_name = "DEV", default_value = "CUDA:PTX")]
    dev: String,

    /// Which tests; without it, all
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

const PACKAGES: &[Package] = &[
    Package::python_module("python3-torch", "torch"),
    Package::python_module("python3-numpy", "numpy"),
];

/// What became of one test, as `tests/programs/tinygrad_ops.py` writes it.
#[derive(Debug, Deserialize)]
struct Outcome {
    test: String,
    result: String,
    seconds: f64,
    why: String,
}

/// Where the tests run.
struct Bed<'a> {
    options: &'a Options,
    checkout: PathBuf,
    clang: String,
    compiled: PathBuf,
    results: tempfile::TempDir,
}

impl Bed<'_> {
    /// The script on a device, or without one.
    fn script(&self, vgpu: Option<&Installed>, dev: &str, arguments: &[&str]) -> Command {
        let mut command = match vgpu {
            Some(vgpu) => {
                let mut command = Command::new(vgpu.vgpu());
                command.args(["run", "--"]).arg(&self.options.python);
                command
            }
            None => Command::new(&self.options.python),
        };
        command
            .arg(python::script("tinygrad_ops.py"))
            .arg(&self.checkout)
            .args(arguments)
            .env("DEV", dev)
            .env("CC", &self.clang)
            .env("CACHEDB", &self.compiled)
            .env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    /// Runs every `parts`th of the tests that `names` has, from `part` on. What was
    /// written before an end of the program before its time counts.
    fn part(
        &self,
        vgpu: Option<&Installed>,
        dev: &str,
        [part, parts]: [usize; 2],
        names: &[String],
        steps: &Steps,
    ) -> Result<Vec<Outcome>> {
        let kind = if vgpu.is_some() { "engine" } else { "CPU" };
        let file = self.results.path().join(format!("{kind}-{part}"));
        let name = match vgpu {
            Some(_) => format!(
                "Run tinygrad's operator tests, part {} of {parts}",
                part + 1
            ),
            None => "Run what failed on tinygrad's CPU backend".to_owned(),
        };
        let path = file.to_string_lossy();
        let mut command = self.script(vgpu, dev, &[&path, &part.to_string(), &parts.to_string()]);
        command.args(names);
        steps.step(&name, |step| step.run(&mut command))?;
        read(&file)
    }
}

fn read(file: &Path) -> Result<Vec<Outcome>> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let lines = text.lines().map(serde_json::from_str);
    Ok(lines.collect::<Result<_, _>>()?)
}

/// Runs the command.
pub(super) fn run(options: &Options, steps: &Steps) -> Result<()> {
    let checkout = options
        .checkout
        .canonicalize()
        .ok()
        .filter(|folder| folder.join("tinygrad").is_dir());
    let Some(checkout) = checkout else {
        return Err(Failure::new(
            format!("{} is no checkout of tinygrad", options.checkout.display()),
            "Run: git clone https://github.com/tinygrad/tinygrad, and name that folder.",
        )
        .into());
    };
    if options.python == Path::new(PYTHON) {
        host_packages::ensure(PACKAGES, steps)?;
    }
    let bed = Bed {
        options,
        checkout,
        clang: python::clang(steps)?,
        compiled: Cache::open()?.dir("tinygrad")?.join("operators.db"),
        results: tempfile::tempdir()?,
    };
    let vgpu = quick(steps)?;
    let parts = thread::available_parallelism()
        .map_or(1, usize::from)
        .min(8);
    let outcomes = thread::scope(|scope| {
        let (bed, vgpu) = (&bed, &vgpu);
        let threads: Vec<_> = (0..parts)
            .map(|part| {
                let dev = &options.dev;
                scope.spawn(move || bed.part(Some(vgpu), dev, [part, parts], &options.names, steps))
            })
            .collect();
        let all = threads.into_iter();
        let all = all.map(|one| one.join().unwrap_or_else(|panic| resume_unwind(panic)));
        all.collect::<Result<Vec<_>>>()
    })?;
    let outcomes: Vec<_> = outcomes.into_iter().flatten().collect();
    let failed: Vec<_> = outcomes.iter().filter(|o| o.result == "failed").collect();
    let names: Vec<_> = failed.iter().map(|outcome| outcome.test.clone()).collect();
    let elsewhere = match names.is_empty() {
        true => Vec::new(),
        false => bed.part(None, "CPU", [0, 1], &names, steps)?,
    };
    report(options, &outcomes, &elsewhere)
}

/// Prints what did not pass, and says whether that is for the engine.
fn report(options: &Options, outcomes: &[Outcome], elsewhere: &[Outcome]) -> Result<()> {
    let count = |result: &str| outcomes.iter().filter(|o| o.result == result).count();
    let [passed, failed, skipped] = ["passed", "failed", "skipped"].map(count);
    let mut own = Vec::new();
    for outcome in outcomes.iter().filter(|outcome| outcome.result != "passed") {
        let Outcome {
            test,
            result,
            seconds,
            why,
        } = outcome;
        let also = elsewhere
            .iter()
            .any(|other| other.test == *test && other.result == "failed");
        let note = match (result.as_str(), also) {
            ("failed", true) => ", on the CPU backend too",
            ("failed", false) => {
                own.push(test.as_str());
                ""
            }
            _ => "",
        };
        println!("{test}: {result}{note}, {seconds} s: {why}");
    }
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    let few = options.names.is_empty() && passed < PASSED;
    if own.is_empty() && !few {
        return Ok(());
    }
    let what = match few {
        true => format!("{passed} operator tests passed, {PASSED} are to"),
        false => format!("these fail on the engine alone: {}", own.join(", ")),
    };
    Err(Failure::new(
        what,
        "See each test's reason above; name one to try it alone.",
    )
    .into())
}
