//! `cargo xtask prove`: the ring's arithmetic for all values, by symbolic execution of its machine code.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;
use serde::Deserialize;
use vgpu_bed::cache::Cache;
use vgpu_bed::host_packages::{self, Package};
use vgpu_bed::process;
use vgpu_bed::steps::Steps;
use vgpu_terminal::Failure;

use crate::checkout;
use crate::pypi;

const EXAMPLES: &str = "\
Examples:
  cargo xtask prove                     all rules of ring/tests/steps/harness.rs
  cargo xtask prove a_push_fits         one of them

A rule is a function that begins with any state of a ring that there can be, does one step, whatever
the other side writes meanwhile, and holds what comes out against what has to be. The tests run it
on random values; here angr, a symbolic executor that pip fetches into the cache, follows each path
of its machine code with all values that take it.

Exit code: 0 if all paths were followed to their end, and none breaks a rule; 1 otherwise.";

const PACKAGES: [Package; 2] = [
    Package::program("python3", "python3"),
    Package::python_module("python3-venv", "ensurepip"),
];

/// angr, and what it does not say that it needs: it knows no later versions.
const ANGR: [&str; 3] = ["bitstring==4.3.1", "pycparser==3.0", "angr==9.2.213"];

/// The file whose public functions are the rules.
const RULES: &str = "ring/tests/steps/harness.rs";

/// Prove the rules of the ring's arithmetic for all values
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Which; without it, all
    #[arg(value_name = "RULE")]
    rules: Vec<String>,
}

/// What was found of one rule, as `tests/programs/prove.py` writes it.
#[derive(Debug, Deserialize)]
struct Outcome {
    paths: u64,
    findings: Vec<String>,
}

/// The names of the rules in the text of [`RULES`].
fn rules(text: &str) -> Vec<String> {
    let name = |line: &str| {
        Some(
            line.strip_prefix("pub(crate) fn ")?
                .strip_suffix("() {")?
                .to_owned(),
        )
    };
    text.lines().filter_map(name).collect()
}

/// Builds the rules with the checks of a test, and optimised, so that there are fewer paths; gives the program.
fn program(steps: &Steps) -> Result<PathBuf> {
    steps.step("Build the rules", |step| {
        let mut cargo = process::cargo();
        cargo
            .current_dir(checkout())
            .args(["test", "--no-run", "--package", "vgpu-ring"])
            .args(["--test", "steps", "--target-dir"])
            .arg(process::target(checkout()).join("prove"))
            .args(["--message-format", "json-render-diagnostics"])
            .env("CARGO_PROFILE_TEST_OPT_LEVEL", "2")
            .env("CARGO_PROFILE_TEST_DEBUG", "none");
        let lines = step.output(&mut cargo)?;
        let mut messages = lines.lines().filter_map(|line| {
            let message: serde_json::Value = serde_json::from_str(line).ok()?;
            Some(PathBuf::from(message["executable"].as_str()?))
        });
        messages.next().context("cargo names no program")
    })
}

/// Runs the command.
pub(crate) fn run(options: &Options, steps: &Steps) -> Result<()> {
    let text = fs::read_to_string(checkout().join(RULES)).context(RULES)?;
    let known = rules(&text);
    if let Some(name) = options.rules.iter().find(|name| !known.contains(name)) {
        let mend = format!("Name some of these: {}", known.join(", "));
        return Err(Failure::new(format!("there is no rule {name}"), mend).into());
    }
    let chosen = match options.rules.is_empty() {
        true => &known,
        false => &options.rules,
    };
    let program = program(steps)?;
    host_packages::ensure(&PACKAGES, steps)?;
    let venv = steps.step("Fetch angr by pip", |step| {
        let packages = ANGR.map(str::to_owned);
        pypi::environment(&Cache::open()?, "angr-9.2.213", &packages, "angr", step)
    })?;
    let mut broken = Vec::new();
    for rule in chosen {
        let found = steps.step(&format!("Prove {rule}"), |step| {
            let mut python = Command::new(venv.join("bin/python"));
            python.arg(checkout().join("tests/programs/prove.py"));
            let line = step.output(python.arg(&program).args(["harness", "random", rule]))?;
            Ok(serde_json::from_str::<Outcome>(&line)?)
        })?;
        let count = found.findings.len();
        println!("{rule}: {} paths, {count} findings", found.paths);
        found
            .findings
            .iter()
            .for_each(|finding| println!("  {finding}"));
        if count > 0 {
            broken.push(rule.as_str());
        }
    }
    if broken.is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        format!("not for all values: {}", broken.join(", ")),
        "Each finding is above, with the values that any() gives, one after the other.",
    )
    .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_that_the_tests_run_is_proven() {
        let text = fs::read_to_string(checkout().join(RULES)).unwrap();
        let (_, all) = text.split_once("const ALL").unwrap();
        let rules = rules(&text);
        assert!(rules.iter().all(|rule| all.contains(&format!("{rule:?}"))));
        assert_eq!(all.matches('"').count(), 2 * rules.len());
    }
}
