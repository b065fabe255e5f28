//! A built QEMU in place of another, by `vgpu-stub qemu`.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use vgpu_bed::debian::Suite;
use vgpu_bed::debian_qemu;
use vgpu_bed::machine::{MachineBuilder, MachineType};

use crate::bed::{Bed, query_pci};
use crate::common::environment;

/// Runs `vgpu-stub qemu` on the QEMU at `target`; what it prints.
fn vgpu_stub(action: &str, target: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new(environment("VGPU_STUB_PROGRAMS")?.join("vgpu-stub"))
        .args(["qemu", action, "--to"])
        .arg(target)
        .args(arguments)
        .output()?;
    let said = String::from_utf8(output.stderr)?;
    ensure!(output.status.success(), "{action}: {said}");
    Ok(String::from_utf8(output.stdout)?)
}

/// The machine's own account of its device, if the QEMU at `path` has it.
fn device(bed: &Bed, path: &Path) -> Result<Option<Value>> {
    let mut machine = MachineBuilder::new(path, MachineType::Pc, &bed.firmware)
        .device("vgpu-stub,id=vgpu")
        .start()?;
    query_pci(&mut machine, "vgpu")
}

/// Debian's own QEMU, which does not have the device, gives its place to the
/// built one and takes it back.
#[test]
fn a_built_qemu_takes_the_place_of_a_stock_one_and_gives_it_back() -> Result<()> {
    let bed = Bed::new()?;
    let built = bed.qemu.to_str().context("a path of odd characters")?;
    let stock = debian_qemu::fetch(&bed.cache, &Suite::debian("bookworm"), &bed.steps)?;
    let host = tempfile::tempdir()?;
    let target = host.path().join("qemu-system-x86_64");
    fs::copy(&stock, &target)?;
    ensure!(
        device(&bed, &target).is_err(),
        "the stock QEMU has the device"
    );

    vgpu_stub("install", &target, &["--from", built])?;
    let status: Value = serde_json::from_str(&vgpu_stub("status", &target, &["--json"])?)?;
    assert_eq!(status["state"], "installed");
    assert_eq!(status["has_device"], true);
    let device = device(&bed, &target)?.context("a machine without the device")?;
    assert_eq!(device["id"]["vendor"], 0x1af4);
    assert_eq!(device["id"]["device"], 0x1111);

    vgpu_stub("rollback", &target, &[])?;
    assert_eq!(fs::read(&target)?, fs::read(&stock)?);
    assert_eq!(fs::read_dir(host.path())?.count(), 1);
    Ok(())
}

/// A real binary that was cut short, or lacks the device, stays out.
#[test]
fn a_qemu_that_will_not_do_stays_out() -> Result<()> {
    let bed = Bed::new()?;
    let stock = debian_qemu::fetch(&bed.cache, &Suite::debian("bookworm"), &bed.steps)?;
    let host = tempfile::tempdir()?;
    let target = host.path().join("qemu-system-x86_64");
    fs::copy(&bed.qemu, &target)?;
    let cut = tempfile::NamedTempFile::new()?;
    cut.as_file().write_all(&fs::read(&bed.qemu)?[..1 << 20])?;
    for (from, cause) in [
        (stock.as_path(), "does not have vgpu-stub"),
        (cut.path(), "does not work here"),
    ] {
        let from = from.to_str().context("a path of odd characters")?;
        let refused = vgpu_stub("install", &target, &["--from", from]);
        let said = refused.err().context("it was installed")?.to_string();
        assert!(said.contains(cause), "{said}");
        assert_eq!(fs::read_dir(host.path())?.count(), 1);
    }
    Ok(())
}
