//! `cargo xtask driver`: the guest's driver, built for the kernels of Debian's releases, and read by the kernel's own tools.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};
use vgpu_bed::cache::Cache;
use vgpu_bed::debian::Suite;
use vgpu_bed::kernel_module::{Builder, HEADERS};
use vgpu_bed::steps::{Step, Steps};

use crate::checkout;

const EXAMPLES: &str = "\
Examples:
  cargo xtask driver check                      all releases, sparse and checkpatch
  cargo xtask driver check --suite trixie       for one release
  cargo xtask driver build --suite bookworm     prints where vgpu.ko is

The first time, each release takes a root folder with its compiler and the headers of its kernel: 150 MB to fetch.

Exit code: 0 if all is well, 1 otherwise.";

/// The releases whose kernels it is built for: 5.10, 6.1, 6.12, and the newest there is.
const SUITES: [&str; 4] = ["bullseye", "bookworm", "trixie", "sid"];

/// The one whose sparse and checkpatch read it.
const READERS: &str = "bookworm";

/// Warnings are errors.
const STRICT: [&str; 2] = ["W=1", "KCFLAGS=-Werror"];

/// As strict as sparse is, on all files.
const SPARSE: [&str; 2] = [
    "C=2",
    "CF=-Wsparse-error -Wsparse-all -Wno-transparent-union",
];

/// Where Debian has it; without a tree of the kernel, each file as a whole.
const CHECKPATCH: &str = "perl /lib/modules/*/source/scripts/checkpatch.pl --no-tree --strict --terse --show-types \
                          --max-line-length=100 --ignore COMMIT_MESSAGE --file /mnt/vgpu*.[ch]";

/// Build the guest's driver
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Build it for the kernels of some releases, and have sparse and checkpatch read it
    Check {
        /// For the kernel of this release of Debian alone; may be repeated
        #[arg(long, value_name = "CODENAME")]
        suite: Vec<String>,
    },
    /// Build it for one kernel
    Build {
        /// The release of Debian that the kernel is of
        #[arg(long, value_name = "CODENAME", default_value = READERS)]
        suite: String,
    },
}

/// Runs the command.
pub(crate) fn run(options: &Options, steps: &Steps) -> Result<()> {
    match &options.task {
        Task::Check { suite } if suite.is_empty() => {
            SUITES.iter().try_for_each(|suite| check(suite, steps))?;
            read(steps)
        }
        Task::Check { suite } => suite.iter().try_for_each(|suite| check(suite, steps)),
        Task::Build { suite } => {
            let builder = builder(suite, &[], steps)?;
            println!("{}", builder.module(&source(), "vgpu.ko", steps)?.display());
            Ok(())
        }
    }
}

fn source() -> PathBuf {
    checkout().join("guest/driver")
}

fn builder(suite: &str, others: &[&str], steps: &Steps) -> Result<Builder> {
    Builder::new(
        &Cache::open()?,
        &Suite::debian(suite),
        HEADERS,
        others,
        steps,
    )
}

/// Builds it for a release's kernel, without a warning.
fn check(suite: &str, steps: &Steps) -> Result<()> {
    let builder = builder(suite, &[], steps)?;
    let what = format!(
        "Build the driver for Linux {}, of {suite}",
        builder.release()
    );
    steps.step(&what, |step| builder.make_anew(&source(), &STRICT, step))
}

/// Has the kernel's tools read it.
fn read(steps: &Steps) -> Result<()> {
    let builder = builder(READERS, &["sparse", "perl"], steps)?;
    steps.step("Check the driver with sparse", |step| {
        builder.make_anew(&source(), &SPARSE, step)
    })?;
    steps.step("Check the driver with checkpatch", |step: &Step| {
        builder.run(&source(), &["sh", "-c", CHECKPATCH], step)
    })
}
