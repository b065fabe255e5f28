//! `cargo xtask package`: packages for the hosts of VMs, and for machines with CUDA programs.

mod builders;
mod clean_debian;
mod contents;
mod kits;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;
use clap::builder::PossibleValuesParser;
use vgpu_bed::host_packages::{self, Package};
use vgpu_bed::steps::Steps;

use crate::{checkout, cuda, programs};
use builders::Build;
use clean_debian::PROGRAM;
use contents::{entries, stage};
pub(crate) use kits::Family;
use kits::{KITS, Kit};

const EXAMPLES: &str = "\
Examples:
  cargo xtask package                   all packages, in target/packages
  cargo xtask package --out /tmp/p
  cargo xtask package vgpu-tools vgpu-guest vgpu-host
  cargo xtask package --check           and the .debs are tried on a clean Debian
  SOURCE_DATE_EPOCH=1735689600 cargo xtask package

The programs of vgpu-tools, vgpu-guest and vgpu-host are linked for glibc 2.17; the linker for that comes from PyPI, 100 MB, once.

The same sources give the same packages, on the same release of Debian. Without SOURCE_DATE_EPOCH they are as old as the
last commit.

Exit code: 0 if all were built, and pass the check where one was asked for; 1 otherwise.";

/// Build the packages: .deb, .rpm, and the tarball for XCP-ng
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// Which packages; without it, all
    #[arg(value_name = "PACKAGE", value_parser = PossibleValuesParser::new(KITS.iter().map(|kit| kit.name)))]
    packages: Vec<String>,

    /// Where the packages go
    #[arg(long, value_name = "FOLDER", default_value = "target/packages")]
    out: PathBuf,

    /// Package the programs of this folder instead of building them: vgpu-stub and vgpu-emulator; vgpu, vgpud, vgpu-ptxas and
    /// libcuda.so; and for --check the example cuda-add
    #[arg(long, value_name = "FOLDER")]
    programs: Option<PathBuf>,

    /// Install, try and remove the .debs on a clean Debian, which is made by mmdebstrap the first time
    #[arg(long, conflicts_with = "packages")]
    check: bool,
}

/// Runs the command.
pub(crate) fn run(options: &Options, steps: &Steps) -> Result<()> {
    let chosen = |kit: &&Kit| {
        options.packages.is_empty() || options.packages.iter().any(|name| name == kit.name)
    };
    let kits: Vec<_> = KITS.iter().filter(chosen).collect();
    let mut out = PathBuf::new();
    for family in [Family::Device, Family::Cuda, Family::Driver] {
        let kits = kits.iter().filter(|kit| kit.family == family);
        let kits: Vec<_> = kits.copied().collect();
        if kits.is_empty() {
            continue;
        }
        let programs = match (&options.programs, family) {
            (Some(folder), _) => folder.clone(),
            (None, Family::Device) => {
                let command = programs::build(steps)?;
                let folder = command.parent().context("the programs are in no folder")?;
                folder.to_path_buf()
            }
            (None, Family::Cuda) => cuda::programs(steps)?,
            (None, Family::Driver) => PathBuf::new(),
        };
        out = package(&kits, &programs, &options.out, steps)?;
    }
    if options.check {
        let program = match &options.programs {
            Some(folder) => folder.join(PROGRAM),
            None => cuda::example(PROGRAM, steps)?,
        };
        fs::copy(&program, out.join(PROGRAM)).with_context(|| program.display().to_string())?;
        check(&out, steps)?;
    }
    println!("{}", out.display());
    Ok(())
}

/// Tries the .debs in this folder on a clean Debian, by the program `cuda-add` that lies beside them.
///
/// # Errors
///
/// One does not work, or leaves something, or there is no Debian to try it on.
pub(crate) fn check(packages: &Path, steps: &Steps) -> Result<()> {
    clean_debian::check(packages, steps)
}

/// Builds all packages of a family, of the programs in this folder, and returns the folder with them.
///
/// # Errors
///
/// A package cannot be built.
pub(crate) fn build(family: Family, programs: &Path, out: &Path, steps: &Steps) -> Result<PathBuf> {
    let kits = KITS.iter().filter(|kit| kit.family == family);
    package(&kits.collect::<Vec<_>>(), programs, out, steps)
}

fn package(kits: &[&Kit], programs: &Path, out: &Path, steps: &Steps) -> Result<PathBuf> {
    host_packages::ensure(
        &[
            Package::program("rpm", "rpmbuild"),
            Package::program("dpkg", "dpkg-deb"),
        ],
        steps,
    )?;
    let epoch = epoch()?;
    let out = std::path::absolute(out)?;
    fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
    for kit in kits {
        let entries = entries(kit)?;
        for kind in kit.kinds {
            steps.step(
                &format!("Package {} as {}", kit.name, kind.name()),
                |step| {
                    let folder = tempfile::tempdir()?;
                    let (tree, work) = (folder.path().join("tree"), folder.path().join("work"));
                    stage(&entries, programs, &tree, epoch)?;
                    fs::create_dir(&work)?;
                    let build = Build {
                        kit,
                        entries: &entries,
                        tree: &tree,
                        work: &work,
                        out: &out,
                        epoch,
                    };
                    let mut builder = kind.builder(&build)?;
                    step.run(builder.env("SOURCE_DATE_EPOCH", epoch.to_string()))
                },
            )?;
        }
    }
    Ok(out)
}

/// The age of all files: the same sources give the same packages.
fn epoch() -> Result<u64> {
    if let Ok(given) = std::env::var("SOURCE_DATE_EPOCH") {
        return given
            .parse()
            .context("SOURCE_DATE_EPOCH is no number of seconds");
    }
    let output = Command::new("git")
        .current_dir(checkout())
        .args(["log", "-1", "--format=%ct"])
        .output()
        .context("cannot run git")?;
    String::from_utf8_lossy(&output.stdout)
        .trim()
        .parse()
        .context("git does not say when the last commit was; set SOURCE_DATE_EPOCH")
}
