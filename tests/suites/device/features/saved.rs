//! A machine whose device has features is saved and moved, but not while others have its memory.

use std::fs;

use anyhow::Result;
use serde_json::{Value, json};
use vgpu_abi::bar0::{DRIVER, EVENTS, GENERATION, MSIX_TABLE};
use vgpu_abi::features::{driver, event, state};
use vgpu_bed::daemon::Daemon;
use vgpu_bed::machine::Machine;

use crate::bed::Bed;
use crate::common::features::qtest_driver::Driver;
use crate::common::features::{FeaturesBed, daemon};
use crate::common::{HOME, Place, QtestTarget};
use crate::migration::{LIMIT, job, migrate, saved, snapshot_disk};

const REASON: &str = "the guest shares memory with the host";

fn machine(bed: &Bed, daemon: &Daemon) -> Result<Machine> {
    bed.with_features(&(), daemon, Place::Q35).qtest().start()
}

#[test]
fn not_while_memory_is_shared() -> Result<()> {
    let (bed, daemon) = (Bed::new()?, daemon()?);
    let machine = machine(&bed, &daemon)?;
    let mut driver = Driver::new(QtestTarget::new(machine, Place::Q35)?)?;
    let disk = driver.0.machine.folder().join("snapshot.qcow2");
    snapshot_disk(&mut driver.0.machine, &disk)?;
    let save = |driver: &mut Driver, tag: &str| {
        let arguments = json!({ "tag": tag, "vmstate": "disk", "devices": ["disk"] });
        job(&mut driver.0.machine, "snapshot-save", arguments)
    };
    assert_eq!(driver.open(0x100_0000)?, Ok(0));
    let error = migrate(&mut driver.0.machine, "exec:cat >/dev/null").unwrap_err();
    assert!(format!("{error:#}").contains(REASON), "{error:#}");
    let error = save(&mut driver, "shared").unwrap_err();
    assert!(format!("{error:#}").contains(REASON), "{error:#}");

    assert_eq!(driver.close(0)?, Ok(0));
    save(&mut driver, "closed")?;
    // A reset of the device is as good.
    assert_eq!(driver.open(0x100_0000)?, Ok(0));
    driver.write(DRIVER, driver::RESET)?;
    driver.waits_for_state(state::READY)?;
    save(&mut driver, "reset")
}

#[test]
fn interrupts_are_taken_along_and_channels_are_lost() -> Result<()> {
    let (bed, daemon) = (Bed::new()?, daemon()?);
    let mut from = Driver::new(QtestTarget::new(machine(&bed, &daemon)?, Place::Q35)?)?;
    from.set_vector(1, 0x10_0000, 0x1234)?;
    from.enable_interrupts()?;
    from.acknowledge()?;
    let generation = from.read(GENERATION)?;
    let file = from.0.machine.folder().join("stream");
    let stream = saved(&mut from.0.machine, &file)?;
    drop(from);

    let folder = tempfile::tempdir()?;
    let file = folder.path().join("stream");
    fs::write(&file, stream)?;
    let to = bed.with_features(&(), &daemon, Place::Q35).qtest();
    let mut to = to
        .incoming(&format!("exec:cat {}", file.display()))
        .start()?;
    to.qmp().wait_event("RESUME", LIMIT)?;
    let mut read = |register: u64| to.qtest()?.memory_read(u64::from(HOME) + register, 4);
    assert_eq!(read(MSIX_TABLE.start + 24)?, 0x1234);
    assert_eq!(read(MSIX_TABLE.start + 28)?, 0, "the vector's mask");
    assert_eq!(read(DRIVER)?, u64::from(driver::RUN));
    assert_eq!(read(GENERATION)?, u64::from(generation) + 1);
    assert_ne!(read(EVENTS)? & u64::from(event::STATE), 0);
    // The next driver finds it as any.
    to.qtest()?.memory_write(u64::from(HOME) + DRIVER, 4, 0)?;
    let mut driver = Driver::new(QtestTarget::new(to, Place::Q35)?)?;
    assert_eq!(driver.open(0x100_0000)?, Ok(0));
    driver
        .0
        .machine
        .qmp()
        .execute("query-status", Value::Null)?;
    Ok(())
}
