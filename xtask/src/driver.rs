//! `cargo xtask driver`: the guest's driver, built for the kernels of Debian's releases, and read by the kernel's own tools.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;
use clap::{Args, Subcommand};
use vgpu_bed::cache::Cache;
use vgpu_bed::debian::{self, Suite};
use vgpu_bed::host_packages::{self, Package};
use vgpu_bed::kernel_module::{Builder, HEADERS, KERNELS};
use vgpu_bed::sanitized_kernel::{SOURCE, SanitizedKernel};
use vgpu_bed::steps::Steps;

use crate::checkout;

const EXAMPLES: &str = "\
Examples:
  cargo xtask driver check                      all releases, sparse and checkpatch
  cargo xtask driver check --suite trixie       for one release
  cargo xtask driver build --suite bookworm     prints where vgpu.ko is
  cargo xtask driver kernel                     Debian 12's Linux with KASAN, lockdep and kmemleak, and vgpu.ko for it

The first time, each release takes a root folder with its compiler and the headers of its kernel: 150 MB to fetch. That Linux
takes nine minutes of a processor; `cargo xtask soak driver-sanitized` runs the driver on it.

Exit code: 0 if all is well, 1 otherwise.";

/// The one whose sparse and checkpatch read it.
const READERS: &str = "bookworm";

/// Warnings are errors.
const STRICT: [&str; 2] = ["W=1", "KCFLAGS=-Werror"];

/// All files, and what sparse finds is an error.
const SPARSE: [&str; 2] = ["C=2", "CF=-Wsparse-error"];

/// What of the kernel's source is checkpatch.
const CHECKPATCH: [&str; 3] = ["checkpatch.pl", "spelling.txt", "const_structs.checkpatch"];

/// Each file as a whole, without a tree of the kernel; one source for many kernels asks for their versions.
const CHECKED: [&str; 8] = [
    "--no-tree",
    "--strict",
    "--terse",
    "--show-types",
    "--no-summary",
    "--max-line-length=100",
    "--ignore=LINUX_VERSION_CODE,CONSTANT_COMPARISON",
    "--file",
];

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
    /// Build a Linux that checks itself, and the driver for it
    Kernel,
}

/// Runs the command.
pub(crate) fn run(options: &Options, steps: &Steps) -> Result<()> {
    match &options.task {
        Task::Check { suite } => {
            let all = || KERNELS.iter().map(|(suite, _)| *suite).collect();
            let suites: Vec<_> = match suite.is_empty() {
                true => all(),
                false => suite.iter().map(String::as_str).collect(),
            };
            suites.iter().try_for_each(|suite| check(suite, steps))?;
            match suites.contains(&READERS) {
                true => read(steps),
                false => Ok(()),
            }
        }
        Task::Build { suite } => {
            let builder = builder(suite, steps)?;
            println!("{}", builder.module(&source(), "vgpu.ko", steps)?.display());
            Ok(())
        }
        Task::Kernel => {
            let cache = Cache::open()?;
            let kernel = SanitizedKernel::build(&cache, steps)?;
            let builder = Builder::sanitized(&cache, &kernel)?;
            let module = builder.module(&source(), "vgpu.ko", steps)?;
            let image = format!("boot/vmlinuz-{}", builder.release());
            println!("{}", kernel.root().join(image).display());
            println!("{}", module.display());
            Ok(())
        }
    }
}

fn source() -> PathBuf {
    checkout().join("guest/driver")
}

fn builder(suite: &str, steps: &Steps) -> Result<Builder> {
    let known = KERNELS.iter().find(|(name, _)| *name == suite);
    let headers = known.map_or(HEADERS, |(_, headers)| headers);
    let release = match suite.strip_suffix("-backports") {
        Some(release) => Suite::debian(release).with_backports(),
        None => Suite::debian(suite),
    };
    Builder::new(&Cache::open()?, &release, headers, steps)
}

/// Builds it for a release's kernel, without a warning.
fn check(suite: &str, steps: &Steps) -> Result<()> {
    let builder = builder(suite, steps)?;
    let what = format!(
        "Build the driver for Linux {}, of {suite}",
        builder.release()
    );
    steps.step(&what, |step| builder.make_anew(&source(), &STRICT, step))
}

/// Has the kernel's tools read it.
fn read(steps: &Steps) -> Result<()> {
    let builder = builder(READERS, steps)?;
    steps.step("Check the driver with sparse", |step| {
        builder.make_anew(&source(), &SPARSE, step)
    })?;
    let checkpatch = checkpatch(steps)?;
    steps.step("Check the driver with checkpatch", |step| {
        let mut perl = Command::new("perl");
        perl.arg(checkpatch).args(CHECKED);
        for entry in fs::read_dir(source())? {
            let path = entry?.path();
            let kind = path.extension().and_then(OsStr::to_str);
            if matches!(kind, Some("c" | "h")) {
                perl.arg(path);
            }
        }
        step.run(&mut perl)
    })
}

/// The program checkpatch, of Debian's kernel.
fn checkpatch(steps: &Steps) -> Result<PathBuf> {
    host_packages::ensure(&[Package::program("perl", "perl")], steps)?;
    let cache = Cache::open()?;
    let entry = cache.entry("checkpatch", SOURCE, |dir| {
        let suite = Suite::debian(READERS);
        let package = debian::unpacked(&cache, &suite, &[SOURCE], steps)?;
        steps.step("Unpack checkpatch", |step| {
            let archive = package.join(format!("usr/src/{SOURCE}.tar.xz"));
            let mut unpack = Command::new("tar");
            unpack
                .arg("--extract")
                .arg("--file")
                .arg(archive)
                .arg("--directory")
                .arg(dir)
                .args(["--strip-components=2", "--no-same-owner"])
                .args(CHECKPATCH.map(|name| format!("{SOURCE}/scripts/{name}")));
            step.run(&mut unpack)
        })
    })?;
    Ok(entry.join(CHECKPATCH[0]))
}
