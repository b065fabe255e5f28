//! The .deb on a clean Debian: installed, tried and removed by Debian's own dpkg; and its units, by Debian's own systemd.

use std::fs;
use std::path::Path;
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
/// It takes 20 seconds on an idle machine.
const LIMIT: Duration = Duration::from_secs(180);

/// Tries this package, and expects nothing of it to be left; then its units, in a machine that boots.
///
/// # Errors
///
/// It does not work, or leaves something, or there is no Debian to try it on.
pub(super) fn check(package: &Path, steps: &Steps) -> Result<()> {
    let tools = [
        Package::program("util-linux", "unshare"),
        Package::program("libarchive-tools", "bsdtar"),
    ];
    host_packages::ensure(&tools, steps)?;
    let cache = Cache::open()?;
    let root = root(&cache, &Suite::debian(SUITE), &PACKAGES, steps)?;
    let qemu = StockQemu::fetch(&cache, steps)?;
    let image = GuestImage::assemble(&cache, &[], steps)?;
    steps.step("Try the .deb on a clean Debian", |step| {
        tree(&root, package, step)
    })?;
    steps.step("Try its units under systemd", |step| {
        units(&root, package, &image, &qemu.path, step)
    })
}

fn tree(root: &Path, package: &Path, step: &Step) -> Result<()> {
    let folder = tempfile::tempdir()?;
    step.run(&mut apart("true"))
        .or_mend("Users may not make namespaces here: run this on another machine.")?;
    let mut check = apart("sh");
    check
        .arg(checkout().join("operator/packaging/tests/clean_debian.sh"))
        .arg(root)
        .arg(package)
        .arg(VERSION)
        .arg(folder.path());
    step.run(&mut check)
}

/// A command as the root user of a place where its mounts are its own, whoever runs it.
fn apart(program: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", program]);
    command
}

/// `image` has the kernel.
fn units(root: &Path, package: &Path, image: &GuestImage, qemu: &Path, step: &Step) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let system = folder.path().join("initramfs");
    let mut convert = Command::new("bsdtar");
    convert
        .args(["--create", "--format=newc", "--file"])
        .arg(&system)
        .arg(format!("@{}", root.display()));
    step.run(&mut convert)?;
    let mut own = Initramfs::default();
    for (path, file) in [
        ("tests/vgpu-stub.deb", package),
        (
            "tests/vgpu-stub-xen@.service",
            &checkout().join("operator/packaging/xcp-ng/vgpu-stub-xen@.service"),
        ),
    ] {
        own.file(path, fs::read(file)?);
    }
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
