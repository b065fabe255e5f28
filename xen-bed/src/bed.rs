//! The bed: a saved machine, in which scenarios run.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result, anyhow};
use vgpu_testbed::cache::Cache;
use vgpu_testbed::debian::Suite;
use vgpu_testbed::debian_qemu;
use vgpu_testbed::run_folder::RunFolder;
use vgpu_testbed::steps::Steps;

use crate::machine::{Machine, Start, host_folder};
use crate::packages::Packages;
use crate::scenario::{Outcome, Scenario, indented};
use crate::snapshot::Snapshot;
use crate::version::XenVersion;

/// The release of Debian whose QEMU emulates the machine. Newer QEMUs lose HVM guests soon after their start.
const QEMU_SUITE: &str = "bookworm";

/// A machine with Xen, saved when its toolstack was up. Any number of scenarios may run at once.
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

    /// Runs a scenario in a machine of its own. A machine that hangs or dies is replaced once.
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
        let host = host_folder(&folder);
        scenario.write(&host)?;
        let ended = self.run_in(&folder, scenario.limit);
        let output = fs::read(host.join("out/output")).unwrap_or_default();
        let output = String::from_utf8_lossy(&output).into_owned();
        Ok(match ended {
            Ok(status) => Ok(Outcome {
                status,
                output,
                folder,
            }),
            Err(error) => {
                let error = error.context(format!(
                    "the machine did not get to the end of the scenario, which printed\n{}",
                    indented(&output)
                ));
                Err((folder.explain(&error), folder))
            }
        })
    }

    /// Runs the scenario in `folder`, and returns its exit status.
    fn run_in(&self, folder: &RunFolder, limit: Duration) -> Result<u8> {
        let deadline = Instant::now() + limit;
        let start = Start::Restore {
            memory: &self.snapshot.memory,
            state: &self.snapshot.state,
        };
        let mut machine = Machine::start(&self.qemu, &start, folder)?;
        machine.tell("go")?;
        machine.wait_line("bed: done", deadline)?;
        // What dom0 wrote there is on this machine's disk already, so there is nothing to shut down.
        let status = fs::read_to_string(host_folder(folder).join("out/status"))?;
        status
            .trim()
            .parse()
            .with_context(|| format!("dom0 wrote {status:?} for an exit status"))
    }
}
