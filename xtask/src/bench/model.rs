//! What a BAR0 access costs in the model, against the model of a commit, in one program. Each round is of a build of its own, as
//! where the compiler lays the code decides about a nanosecond.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};
use vgpu_bed::cache::Cache;
use vgpu_bed::process;
use vgpu_bed::steps::Steps;
use vgpu_bench::{Access, Median};
use vgpu_terminal::OrMend;

use super::EXAMPLES;
use super::conditions::Conditions;
use super::report::Verdict;
use crate::checkout;
use crate::history::Commit;

/// The last commit before the model's interface to its hosts became what it is: the model told its host of changes by calls,
/// and counted what it refused.
const BEFORE: &str = "d0803d143585067b51d0cf45a5dd6949bfd47de9";

/// The most that an access may cost, in accesses to the commit's model.
const BOUND: f64 = 1.05;

/// Compare the model's BAR0 with that of a commit, in one program
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Options {
    /// The commit; without it, the last one before the model's interface to its hosts became what it is
    #[arg(long, default_value = BEFORE, hide_default_value = true)]
    commit: String,

    /// How many rounds to measure, each of a build that is laid out otherwise; they are the sample
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(Median::FEWEST as i64..=1000))]
    rounds: u32,

    /// Print JSON, with the values of each round
    #[arg(long)]
    json: bool,
}

/// What the program prints.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Values {
    read: Rounds,
    write: Rounds,
}

/// Nanoseconds of an access, of each round: medians of its blocks.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Rounds {
    then: Vec<f64>,
    now: Vec<f64>,
    /// The median ratio of a block to the one of the other model beside it.
    ratios: Vec<f64>,
}

/// What was measured, and what it means.
#[derive(Debug, Serialize)]
struct Report {
    /// All digits of the commit's name.
    commit: String,
    rows: [Row; 2],
    values: Values,
    #[serde(flatten)]
    conditions: Conditions,
}

#[derive(Debug, Serialize)]
struct Row {
    access: Access,
    then_ns: Median,
    now_ns: Median,
    /// An access now, in accesses then.
    ratio: Median,
    bound: f64,
    verdict: Verdict,
}

pub(super) fn run(options: &Options, steps: &Steps) -> Result<()> {
    let commit = Commit::find(&options.commit)?;
    let name = format!(
        "Build the models of this checkout and of {}",
        commit.short()
    );
    let folder = steps.step(&name, |step| {
        let then = sources(&Cache::open()?, &commit)?;
        let folder = write_program(&then)?;
        step.run(&mut build(&folder, 0))?;
        Ok(folder)
    })?;
    let values = steps.step(
        "Measure both in turns, in one build after another",
        |step| {
            let mut values = Values::default();
            for number in 0..options.rounds {
                step.run(&mut build(&folder, number))?;
                values.add(round(&folder)?);
            }
            Ok(values)
        },
    )?;
    let report = Report::new(commit.name(), values, Conditions::of_checkout()?)?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("\n{report}");
    }
    report.ensure_bounds()
}

/// A round of the program that was built last.
fn round(folder: &Path) -> Result<Values> {
    let output = Command::new(folder.join("target/release/compared"))
        .arg("1")
        .output()
        .context("cannot run the program")?;
    serde_json::from_slice(&output.stdout).map_err(|_| {
        let said = String::from_utf8_lossy(&output.stderr);
        anyhow!("the program failed ({}): {}", output.status, said.trim())
    })
}

/// The commit's files, with a version of their own.
fn sources(cache: &Cache, commit: &Commit) -> Result<PathBuf> {
    cache.entry("compared", commit.name(), |folder| {
        commit.extract(folder)?;
        set_version(folder, "0.0.0")
    })
}

/// Gives the packages of a checkout another version, so that cargo takes them for others than those of ours.
fn set_version(folder: &Path, version: &str) -> Result<()> {
    let path = folder.join("Cargo.toml");
    let text = fs::read_to_string(&path).context("the commit has no Cargo.toml")?;
    let (before, packages) = text
        .split_once("[workspace.package]\n")
        .context("the commit's Cargo.toml has no version for all packages")?;
    let mut is_set = false;
    let lines: Vec<String> = packages
        .lines()
        .map(|line| match line.starts_with("version = ") && !is_set {
            true => {
                is_set = true;
                format!("version = {version:?}")
            }
            false => line.to_owned(),
        })
        .collect();
    ensure!(
        is_set,
        "the commit's Cargo.toml has no version for all packages"
    );
    fs::write(
        &path,
        format!("{before}[workspace.package]\n{}\n", lines.join("\n")),
    )?;
    Ok(())
}

/// Where a checkout has one of these packages, by the paths that it had.
fn package(checkout: &Path, paths: &[&str]) -> Result<PathBuf> {
    let mut folders = paths.iter().map(|path| checkout.join(path));
    folders
        .find(|folder| folder.join("Cargo.toml").is_file())
        .with_context(|| {
            format!(
                "there is no {} in {}",
                paths.join(" or "),
                checkout.display()
            )
        })
        .or_mend("Name a commit that has the model, by --commit.")
        .map_err(Into::into)
}

/// Writes the program's package, and returns its folder.
fn write_program(then: &Path) -> Result<PathBuf> {
    let folder = process::target(checkout()).join("compared");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut dependencies = BTreeMap::new();
    for (whose, root) in [("then", then), ("now", checkout())] {
        for (name, paths) in [
            ("device", ["device/model", "device"]),
            ("pci", ["device/pci", "pci"]),
        ] {
            dependencies.insert(
                format!("{whose}-{name}"),
                (format!("vgpu-{name}"), package(root, &paths)?),
            );
        }
    }
    let dependencies: String = dependencies
        .iter()
        .map(|(name, (package, path))| {
            format!("{name} = {{ package = {package:?}, path = {path:?} }}\n")
        })
        .collect();
    fs::write(
        folder.join("Cargo.toml"),
        format!(
            "[package]\nname = \"compared\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
             [[bin]]\nname = \"compared\"\npath = \"program.rs\"\n\n\
             [workspace]\n\n[dependencies]\n{dependencies}\n\
             [profile.release]\npanic = \"abort\"\nlto = \"thin\"\ncodegen-units = 1\n"
        ),
    )?;
    fs::write(folder.join("program.rs"), include_str!("model/program.rs"))?;
    // Both with the crates of this checkout, of the same versions.
    fs::copy(checkout().join("Cargo.lock"), folder.join("Cargo.lock"))?;
    Ok(folder)
}

/// Builds the program. By the number its symbols have other names, and so other places.
fn build(folder: &Path, number: u32) -> Command {
    let mut cargo = process::cargo();
    cargo.current_dir(folder);
    cargo.env("CARGO_TARGET_DIR", folder.join("target"));
    cargo.args(["rustc", "--release", "--", "-C"]);
    cargo.arg(format!("metadata={number}"));
    cargo
}

impl Values {
    fn add(&mut self, round: Self) {
        for (all, round) in [(&mut self.read, round.read), (&mut self.write, round.write)] {
            all.then.extend(round.then);
            all.now.extend(round.now);
            all.ratios.extend(round.ratios);
        }
    }
}

impl Row {
    fn new(access: Access, rounds: &Rounds) -> Result<Self> {
        let median = |values: &[f64]| Median::of(values).context("too few rounds");
        let ratio = median(&rounds.ratios)?;
        Ok(Self {
            access,
            then_ns: median(&rounds.then)?,
            now_ns: median(&rounds.now)?,
            ratio,
            bound: BOUND,
            verdict: Verdict::new(&ratio, BOUND),
        })
    }
}

impl Report {
    fn new(commit: &str, values: Values, conditions: Conditions) -> Result<Self> {
        Ok(Self {
            commit: commit.to_owned(),
            rows: [
                Row::new(Access::Read, &values.read)?,
                Row::new(Access::Write, &values.write)?,
            ],
            values,
            conditions,
        })
    }

    /// As the other comparisons: where the whole interval is above, it does not hold.
    fn ensure_bounds(&self) -> Result<()> {
        match self.rows.iter().find(|row| row.verdict == Verdict::Above) {
            None => Ok(()),
            Some(row) => Err(anyhow!(
                "a {} of BAR0 costs {:.3} times what it did at {}, not {BOUND}",
                row.access,
                row.ratio.value,
                self.commit
            ))
            .or_mend("Run it again while the machine does nothing else; then see the model alone: cargo bench -p vgpu-device")
            .map_err(Into::into),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "BAR0 in the model, now against {}: median of {} rounds, 95 % interval\n",
            self.commit,
            self.values.read.ratios.len()
        )?;
        for row in &self.rows {
            let Median { value, low, high } = row.ratio;
            writeln!(
                f,
                "  {:6} {:6.2} ns now, {:6.2} ns then   ratio {value:.3} ({low:.3} to {high:.3}), bound {}: {}",
                row.access.to_string(),
                row.now_ns.value,
                row.then_ns.value,
                row.bound,
                row.verdict.words()
            )?;
        }
        writeln!(
            f,
            "\n{}; {}",
            self.conditions.machine,
            self.conditions.versions()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_broken_by_a_whole_interval_above_it() {
        let report = |write: [f64; 2]| {
            let rounds = |[low, high]: [f64; 2]| Rounds {
                then: vec![2.0; 12],
                now: vec![2.1; 12],
                ratios: [[low; 6], [high; 6]].concat(),
            };
            let values = Values {
                read: rounds([0.9, 1.0]),
                write: rounds(write),
            };
            let conditions = serde_json::json!({"machine": "", "versions": {}, "command": ""});
            Report::new("abc", values, serde_json::from_value(conditions).unwrap()).unwrap()
        };
        assert!(report([1.0, 1.05]).ensure_bounds().is_ok());
        assert!(report([1.0, 1.2]).ensure_bounds().is_ok());
        let error = report([1.06, 1.08]).ensure_bounds().unwrap_err();
        assert_eq!(
            error.to_string(),
            "a write of BAR0 costs 1.070 times what it did at abc, not 1.05"
        );
        let text = report([1.06, 1.08]).to_string();
        assert!(text.contains("read     2.10 ns now,   2.00 ns then   ratio 0.950 (0.900 to 1.000), bound 1.05: holds"), "{text}");
        assert!(text.contains("DOES NOT HOLD"), "{text}");
    }

    #[test]
    fn the_model_is_found_where_it_was() {
        let then = tempfile::tempdir().unwrap();
        let root = then.path();
        let error = package(root, &["device/model", "device"])
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("there is no device/model or device in "),
            "{error}"
        );
        fs::create_dir(root.join("device")).unwrap();
        fs::write(root.join("device/Cargo.toml"), "").unwrap();
        assert_eq!(
            package(root, &["device/model", "device"]).unwrap(),
            root.join("device")
        );
    }

    #[test]
    fn all_packages_get_another_version() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("Cargo.toml");
        let manifest = |version: &str| {
            format!(
                "[workspace]\nversion = 1\n\n[workspace.package]\nedition = \"2024\"\nversion = \"{version}\"\n\n[x]\nversion = \"1\"\n"
            )
        };
        fs::write(&path, manifest("0.1.0")).unwrap();
        set_version(folder.path(), "0.0.0").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), manifest("0.0.0"));
        fs::write(&path, "[package]\nversion = \"1\"\n").unwrap();
        assert!(set_version(folder.path(), "0.0.0").is_err());
    }
}
