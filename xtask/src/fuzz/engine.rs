//! libFuzzer: how it is built by the usual toolchain, and run.

use std::fs;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use vgpu_bed::host_packages::{self, Package};
use vgpu_bed::process::{self, Process};
use vgpu_bed::steps::{Step, Steps};

use super::list::Target;
use super::progress::Progress;
use crate::checkout;

/// Build scripts and macros are for the same machine, and flags would be theirs too unless a target is named.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// What cargo-fuzz says on a nightly toolchain, less what is unstable: the pass of LLVM's that counts edges and shows
/// comparisons to the fuzzer. `fuzzing` turns the program into one of libFuzzer's.
const FLAGS: [&str; 6] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// Seconds that one execution may take, on a busy machine.
const HANG: u32 = 20;

/// When a target has run enough.
pub(super) struct Limit {
    pub(super) time: Option<Duration>,
    /// By all processes together.
    pub(super) runs: Option<u64>,
    pub(super) jobs: u64,
}

/// The program with all targets.
pub(super) struct Engine {
    program: PathBuf,
}

impl Engine {
    pub(super) fn build(steps: &Steps) -> Result<Self> {
        let compiler = Package::program("build-essential", "c++");
        host_packages::ensure(&[compiler], steps)?;
        // A folder of its own: the flags would have all that is in the usual one built again.
        let folder = process::target(checkout()).join("fuzz");
        steps.step("Build the fuzz targets", |step| {
            let mut cargo = process::cargo();
            cargo
                .current_dir(checkout())
                .args(["build", "--profile", "fuzz", "--target", TARGET])
                .args(["--package", "vgpu-fuzz", "--bin", "vgpu-fuzz"])
                .arg("--target-dir")
                .arg(&folder)
                .env_remove("CARGO_ENCODED_RUSTFLAGS")
                .env("RUSTFLAGS", FLAGS.join(" "));
            step.run(&mut cargo)
        })?;
        Ok(Self {
            program: folder.join(TARGET).join("fuzz/vgpu-fuzz"),
        })
    }

    /// Runs a target until the limit, or until it breaks. New inputs go to `corpus`.
    pub(super) fn run(
        &self,
        target: &Target,
        corpus: &Path,
        seeds: &Path,
        limit: &Limit,
        step: &Step,
    ) -> Result<Progress> {
        let scratch = tempfile::Builder::new()
            .prefix("vgpu-stub-fuzz-")
            .tempdir()?;
        let mut processes = Vec::new();
        for _ in 0..limit.jobs {
            let mut command = process::command(&self.program);
            command
                .env("VGPU_STUB_FUZZ_TARGET", target.name)
                // Sockets of the targets'; they are gone with this run.
                .env("TMPDIR", scratch.path())
                .env("RUST_BACKTRACE", "1")
                .arg(format!("-max_len={}", target.longest))
                .arg(format!("-timeout={HANG}"))
                .arg(format!("-artifact_prefix={}/", scratch.path().display()))
                // Others' finds come in, and a line comes out now and then.
                .args(["-reload=1", "-print_final_stats=1", "-rss_limit_mb=1024"])
                .stdin(Stdio::null())
                .stdout(Stdio::null());
            if let Some(time) = limit.time {
                command.arg(format!("-max_total_time={}", time.as_secs()));
            }
            if let Some(runs) = limit.runs {
                command.arg(format!("-runs={}", runs.div_ceil(limit.jobs)));
            }
            command.arg(corpus);
            if seeds.is_dir() {
                command.arg(seeds);
            }
            let (reader, writer) = std::io::pipe()?;
            command.stderr(writer);
            processes.push((Process::start(command)?, reader));
        }
        let mut total = Progress::default();
        let mut failed = false;
        thread::scope(|scope| -> Result<()> {
            let running: Vec<_> = processes
                .into_iter()
                .map(|(mut process, reader)| {
                    scope.spawn(move || -> Result<_> {
                        let progress = Progress::follow(BufReader::new(reader), step)?;
                        Ok((progress, process.wait()?))
                    })
                })
                .collect();
            for thread in running {
                let ended = thread.join().ok().context("a thread panicked")?;
                let (progress, status) = ended?;
                failed |= !status.success();
                total.add(&progress);
            }
            Ok(())
        })?;
        for file in fs::read_dir(scratch.path())? {
            let file = file?;
            // "crash-…", "timeout-…", "oom-…"
            if file.file_type()?.is_file() {
                total.crashes.push(file.path());
            }
        }
        total.keep(scratch);
        if failed && total.crashes.is_empty() {
            return Err(without_input(target));
        }
        Ok(total)
    }
}

/// The error of a target that neither ended well nor left what broke it.
fn without_input(target: &Target) -> anyhow::Error {
    anyhow!("the target {} ended without an input to blame", target.name)
}
