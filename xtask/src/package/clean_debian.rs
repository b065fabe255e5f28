//! The .deb on a clean Debian: installed, tried and removed by Debian's own dpkg.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use vgpu_testbed::cache::Cache;
use vgpu_testbed::debian::{Suite, minimal_root};
use vgpu_testbed::failure::Mend;
use vgpu_testbed::host_packages::{self, Package};
use vgpu_testbed::steps::Steps;

use super::VERSION;
use crate::checkout;

const SUITE: &str = "bookworm";

/// Tries this package, and expects nothing of it to be left.
///
/// # Errors
///
/// It does not work, or leaves something, or there is no Debian to try it on.
pub(super) fn check(package: &Path, steps: &Steps) -> Result<()> {
    host_packages::ensure(&[Package::program("util-linux", "unshare")], steps)?;
    let archive = minimal_root(&Cache::open()?, &Suite::debian(SUITE), steps)?;
    let folder = tempfile::tempdir()?;
    steps.step("Try the .deb on a clean Debian", |step| {
        step.run(&mut apart("true"))
            .mend("Users may not make namespaces here: run this on another machine.")?;
        let mut check = apart("sh");
        check
            .arg(checkout().join("packaging/tests/clean_debian.sh"))
            .arg(archive)
            .arg(package)
            .arg(VERSION)
            .arg(folder.path());
        step.run(&mut check)
    })
}

/// A command as the root user of a place where its mounts are its own, whoever runs it.
fn apart(program: &str) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", program]);
    command
}
