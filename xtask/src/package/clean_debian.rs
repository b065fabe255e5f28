//! The .debs on a clean Debian: installed, tried and removed by Debian's own dpkg; and their units, by Debian's own systemd.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use vgpu_bed::cache::Cache;
use vgpu_bed::debian::{Suite, root};
use vgpu_bed::firmware::Firmware;
use vgpu_bed::guest::GuestImage;
use vgpu_bed::host_packages::{self, Package};
use vgpu_bed::initramfs::Initramfs;
use vgpu_bed::machine::{MachineBuilder, MachineType};
use vgpu_bed::steps::{Step, Steps};
use vgpu_bed::stock_qemu::StockQemu;
use vgpu_terminal::{Failure, OrMend};

use super::builders::deb_of;
use super::contents::VERSION;
use crate::checkout;

const SUITE: &str = "bookworm";
/// What every host has beyond the essential packages.
const PACKAGES: [&str; 2] = ["systemd-sysv", "udev"];

/// Runs the script when Debian has booted.
const UNIT: &str = "[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/tests/units.sh
";
/// What the script prints in the end.
const WELL: &str = "units: all is well";
/// It takes 50 seconds on an idle machine.
const LIMIT: Duration = Duration::from_secs(300);

/// What is tried: the .deb of the device, and beside it those of CUDA.
const DEBS: [&str; 4] = ["vgpu-stub", "vgpu-tools", "vgpu-guest", "vgpu-host"];
/// A program that uses CUDA, beside the packages.
pub(super) const PROGRAM: &str = "cuda-add";

/// Tries the packages in this folder, and expects nothing of them to be left; then their units, in a machine that boots.
///
/// # Errors
///
/// It does not work, or leaves something, or there is no Debian to try it on.
pub(super) fn check(packages: &Path, steps: &Steps) -> Result<()> {
    let tools = [
        Package::program("util-linux", "unshare"),
        Package::program("libarchive-tools", "bsdtar"),
    ];
    host_packages::ensure(&tools, steps)?;
    let cache = Cache::open()?;
    let root = root(&cache, &Suite::debian(SUITE), &PACKAGES, steps)?;
    let qemu = StockQemu::fetch(&cache, steps)?;
    let image = GuestImage::assemble(&cache, &[], steps)?;
    let debs = DEBS.map(|name| deb_of(name, packages));
    let program = packages.join(PROGRAM);
    steps.step("Try the .debs on a clean Debian", |step| {
        tree(&root, debs.iter().chain([&program]), step)
    })?;
    steps.step("Try their units under systemd", |step| {
        units(&root, &debs, &program, &image, &qemu.path, step)
    })
}

fn tree<'a>(root: &Path, files: impl Iterator<Item = &'a PathBuf>, step: &Step) -> Result<()> {
    let folder = tempfile::tempdir()?;
    step.run(&mut apart("true"))
        .or_mend("Users may not make namespaces here: run this on another machine.")?;
    let mut check = apart("sh");
    check
        .arg(checkout().join("operator/packaging/tests/clean_debian.sh"))
        .arg(root)
        .arg(VERSION)
        .arg(folder.path())
        .args(files);
    step.run(&mut check)
}

/// A command as the root user of a place where its mounts and its network are its own, whoever runs it.
fn apart(program: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "--net", program]);
    command
}

/// `image` has the kernel.
fn units(
    root: &Path,
    debs: &[PathBuf],
    program: &Path,
    image: &GuestImage,
    qemu: &Path,
    step: &Step,
) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let system = folder.path().join("initramfs");
    let mut convert = Command::new("bsdtar");
    convert
        .args(["--create", "--format=newc", "--file"])
        .arg(&system)
        .arg(format!("@{}", root.display()));
    step.run(&mut convert)?;
    let mut own = Initramfs::default();
    let unit = "vgpu-stub-xen@.service";
    let file = checkout().join("operator/packaging/xcp-ng").join(unit);
    own.file(&format!("tests/{unit}"), fs::read(file)?);
    for (name, deb) in DEBS.iter().zip(debs) {
        own.file(&format!("tests/{name}.deb"), fs::read(deb)?);
    }
    own.program(&format!("tests/{PROGRAM}"), fs::read(program)?);
    let script = checkout().join("operator/packaging/tests/units.sh");
    own.program("tests/units.sh", fs::read(script)?);
    let folder = "etc/systemd/system";
    own.file(&format!("{folder}/tests.service"), UNIT.into());
    let wanted = format!("{folder}/multi-user.target.wants/tests.service");
    own.link(&wanted, "../tests.service");
    own.link("init", "sbin/init");

    let mut machine = MachineBuilder::new(qemu, MachineType::Q35, &Firmware::own())
        .memory_mib(1024)
        .image(&image.with_system(&system, &own)?)
        .start()?;
    machine.wait_exit(LIMIT)?;
    let console = machine.console();
    if console.contains(WELL) {
        return Ok(());
    }
    Err(Failure::new(
        format!("the units do not do what they should:\n{console}"),
        "See what operator/packaging/tests/units.sh expects.",
    )
    .into())
}
