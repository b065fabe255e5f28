//! The unpacked QEMU on a host that has a QEMU of its own: it takes nothing of that one's.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use vgpu_bed::cache::Cache;
use vgpu_bed::debian::Suite;
use vgpu_bed::debian_qemu;
use vgpu_bed::steps::Steps;

use crate::common::environment;

/// Where QEMU's packages have modules and data, on the host and in a folder of unpacked ones.
const MODULES: &str = "usr/lib/x86_64-linux-gnu";

/// Runs `qemu` where `files` lie over the host's /usr/lib/x86_64-linux-gnu, for this process alone.
fn beside(files: &Path, qemu: &Path, arguments: &[&str]) -> Result<Output> {
    let script = r#"mount -t overlay -o "lowerdir=$1:/$2" overlay "/$2" && shift 2 && exec "$@""#;
    Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", script, "sh"])
        .arg(files)
        .arg(MODULES)
        .arg(qemu)
        .args(arguments)
        .output()
        .context("cannot run unshare")
}

#[test]
fn modules_of_the_hosts_own_qemu_are_left_alone() -> Result<()> {
    let qemu = environment("VGPU_STUB_STOCK_QEMU")?;
    let cache = Cache::open()?;
    let steps = Steps::new(&cache.dir("logs/tests")?)?;
    // Debian 12's, whose modules an other QEMU cannot take.
    let other = debian_qemu::fetch(&cache, &Suite::debian("bookworm"), &steps)?;
    let other = other
        .with_file_name("qemu-bundle")
        .join(MODULES)
        .join("qemu");
    let host = tempfile::tempdir()?;
    let modules = host.path().join("qemu");
    fs::create_dir(&modules)?;
    for module in fs::read_dir(other)? {
        let module = module?;
        fs::copy(module.path(), modules.join(module.file_name()))?;
    }
    let found = beside(
        host.path(),
        Path::new("ls"),
        &["/usr/lib/x86_64-linux-gnu/qemu"],
    )?;
    let found = String::from_utf8_lossy(&found.stdout).into_owned();
    ensure!(
        found.contains("ui-opengl.so"),
        "the host has no modules: {found}"
    );

    // It tries all modules that it knows, some of which its own packages do not bring.
    let output = beside(host.path(), &qemu, &["-device", "help"])?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.is_empty(),
        "{}: {said}",
        output.status
    );
    assert!(String::from_utf8_lossy(&output.stdout).contains("\"vfio-user-pci\""));

    let data = beside(host.path(), &qemu, &["-L", "help"])?;
    let data = String::from_utf8_lossy(&data.stdout).into_owned();
    let own = cache.path().display().to_string();
    assert!(
        data.lines().count() > 0 && data.lines().all(|folder| folder.starts_with(&own)),
        "{data}"
    );
    Ok(())
}
