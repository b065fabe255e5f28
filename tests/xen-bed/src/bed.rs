//! The bed: a saved machine, in which scenarios run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result, anyhow, ensure};
use vgpu_bed::cache::{Cache, digest};
use vgpu_bed::debian::Suite;
use vgpu_bed::debian_qemu;
use vgpu_bed::run_folder::RunFolder;
use vgpu_bed::steps::Steps;

use crate::machine::{Machine, Start, host_folder};
use crate::packages::Packages;
use crate::scenario::{Outcome, Scenario, indented};
use crate::snapshot::Snapshot;
use crate::version::XenVersion;

/// The release of Debian whose QEMU emulates the machine. Newer QEMUs lose HVM guests soon after their start.
const QEMU_SUITE: &str = "bookworm";

/// A machine with Xen, saved when its toolstack was up or later. Any number of scenarios may run at once.
#[derive(Debug)]
pub struct Bed {
    qemu: PathBuf,
    snapshot: Snapshot,
}

impl Bed {
    /// The bed with this version of Xen. What it needs is fetched, and its machine booted once; all that is then in the
    /// cache.
    ///
    /// # Errors
    /// When packages cannot be fetched, or the machine does not boot.
    pub fn open(cache: &Cache, steps: &Steps, version: XenVersion) -> Result<Self> {
        let qemu = debian_qemu::fetch(cache, &Suite::debian(QEMU_SUITE), steps)?;
        let packages = Packages::fetch(cache, version, steps)?;
        let snapshot = Snapshot::get(cache, &packages, &qemu, steps)?;
        Ok(Self { qemu, snapshot })
    }

    /// The bed whose scenarios go on where `scenario` ends, which runs only when `cache` does not hold it: under `name` one
    /// machine is kept, of 0.4 GB and more. Its folder is `/`, and nothing that it leaves running may use `/host`. Logs get to
    /// the host when a scenario ends, and not before.
    ///
    /// # Errors
    /// When two machines in a row do not get to the script's end, or the script fails.
    pub fn prepare(&self, cache: &Cache, name: &str, scenario: &Scenario) -> Result<Self> {
        let folder = RunFolder::new()?;
        let host = host_folder(&folder);
        scenario.write(&host)?;
        let key = format!("{}{}", self.snapshot.state.display(), contents(&host)?);
        let kind = format!("xen-{name}");
        let entry = cache.only_entry(&kind, &digest(&key), |dir| {
            let kept = Snapshot::at(dir);
            let outcome = self.keep(scenario, &kept).or_else(|first| {
                eprintln!("{first:#}\nTrying once more in a new machine.");
                self.keep(scenario, &kept)
            })?;
            outcome.success().map(drop)
        })?;
        Ok(Self {
            qemu: self.qemu.clone(),
            snapshot: Snapshot::at(&entry),
        })
    }

    /// Runs a scenario, and saves the machine if it ends well.
    fn keep(&self, scenario: &Scenario, kept: &Snapshot) -> Result<Outcome> {
        copy_sparse(&self.snapshot.memory, &kept.memory)?;
        let folder = RunFolder::new()?;
        let host = host_folder(&folder);
        scenario.write(&host)?;
        fs::write(host.join("keep"), "")?;
        let start = Start::Restore {
            memory: &kept.memory,
            state: &self.snapshot.state,
            keep: true,
        };
        match self.run_in(&folder, &start, scenario.limit) {
            Ok((status, mut machine)) => {
                if status == 0 {
                    machine.save(&kept.state)?;
                }
                Ok(outcome(status, folder))
            }
            Err(error) => Err(did_not_end(error, &folder)),
        }
    }

    /// Runs a scenario in a machine of its own. A machine that hangs, dies or breaks a guest's kernel is replaced once.
    ///
    /// # Errors
    /// When the second machine does not get to the script's end either; not when the script fails.
    pub fn run(&self, scenario: &Scenario) -> Result<Outcome> {
        let (first, first_folder) = match self.run_once(scenario)? {
            Ok(outcome) => return Ok(outcome),
            Err(failed) => failed,
        };
        eprintln!("{first:#}\nTrying once more in a new machine.");
        self.run_once(scenario)?.map_err(|(second, _)| {
            let folder = first_folder.path().display();
            anyhow!("{second:#}\n  logs of the first machine: {folder}")
        })
    }

    /// The inner error is the machine's, whose folder is kept.
    fn run_once(&self, scenario: &Scenario) -> Result<Result<Outcome, (Error, RunFolder)>> {
        let folder = RunFolder::new()?;
        scenario.write(&host_folder(&folder))?;
        let start = Start::Restore {
            memory: &self.snapshot.memory,
            state: &self.snapshot.state,
            keep: false,
        };
        Ok(match self.run_in(&folder, &start, scenario.limit) {
            Ok((MACHINE_FAILED, _)) => {
                let error = anyhow!("a guest's processor kept an old entry in its TLB");
                Err((did_not_end(error, &folder), folder))
            }
            Ok((status, _)) => Ok(outcome(status, folder)),
            Err(error) => Err((did_not_end(error, &folder), folder)),
        })
    }

    /// Runs the scenario in `folder`, and returns its exit status and the machine.
    fn run_in(
        &self,
        folder: &RunFolder,
        start: &Start<'_>,
        limit: Duration,
    ) -> Result<(u8, Machine)> {
        let deadline = Instant::now() + limit;
        let mut machine = Machine::start(&self.qemu, start, folder)?;
        machine.tell("go")?;
        machine.wait_line("bed: done", deadline)?;
        // What dom0 wrote there is on this machine's disk already, so there is nothing to shut down.
        let status = fs::read_to_string(host_folder(folder).join("out/status"))?;
        let status = status
            .trim()
            .parse()
            .with_context(|| format!("dom0 wrote {status:?} for an exit status"))?;
        Ok((status, machine))
    }
}

/// A scenario's exit status where the machine is at fault: `MACHINE_FAILED` in `dom0/lib.sh`.
const MACHINE_FAILED: u8 = 75;

/// What a script has printed so far.
fn output(folder: &RunFolder) -> String {
    let output = fs::read(host_folder(folder).join("out/output")).unwrap_or_default();
    String::from_utf8_lossy(&output).into_owned()
}

fn outcome(status: u8, folder: RunFolder) -> Outcome {
    Outcome {
        status,
        output: output(&folder),
        folder,
    }
}

fn did_not_end(error: Error, folder: &RunFolder) -> Error {
    let error = error.context(format!(
        "the machine did not get to the end of the scenario, which printed\n{}",
        indented(&output(folder))
    ));
    folder.explain(&error)
}

/// A digest of the names and contents of all files in a folder.
fn contents(folder: &Path) -> Result<String> {
    let mut entries = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    entries.sort();
    let mut text = String::new();
    for path in entries {
        let name = path.file_name().unwrap_or_default().display();
        let of_it = if path.is_dir() {
            contents(&path)?
        } else {
            digest(fs::read(&path)?)
        };
        text += &format!("{name} {of_it}\n");
    }
    Ok(digest(text))
}

/// Copies a file without its empty parts, which are most of a machine's memory.
fn copy_sparse(from: &Path, to: &Path) -> Result<()> {
    let status = Command::new("cp")
        .args(["--sparse=always", "--reflink=auto", "--"])
        .args([from, to])
        .status()
        .context("cannot run cp")?;
    ensure!(
        status.success(),
        "cannot copy {} to {} ({status})",
        from.display(),
        to.display()
    );
    Ok(())
}
