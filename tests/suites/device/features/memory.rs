//! The machine's memory: private, or taken away while a worker has it.

use std::time::Duration;

use anyhow::{Context, Result};
use vgpu_abi::bar0::{EVENTS, FEATURES, GENERATION};
use vgpu_abi::features::{MSIX, event, state};
use vgpu_abi::mailbox::code;
use vgpu_bed::daemon::within;
use vgpu_conformance::Target;

use crate::bed::Bed;
use crate::common::features::qtest_driver::Driver;
use crate::common::features::{FeaturesBed, daemon};
use crate::common::{Place, QtestTarget};

/// Where pc puts the first module of memory that can be unplugged.
const MODULE: u64 = 1 << 32;

/// Ports of ACPI's memory hot-plug on pc: which module, and what becomes of it (QEMU, docs/specs/acpi_mem_hotplug.rst).
const SELECT: u16 = 0xa00;
const CONTROL: u16 = 0xa14;
const EJECT: u32 = 1 << 3;

#[test]
fn private_memory_is_not_offered() -> Result<()> {
    let machine = Bed::new()?.with_device(Place::Pc, ",features=on");
    let machine = machine.qtest().start()?;
    let log = machine.log();
    assert!(log.contains("the machine's is private"), "{log}");
    let mut target = QtestTarget::new(machine, Place::Pc)?;
    assert_eq!(target.bar0_read(FEATURES, 8)?, 0, "it takes 4 bytes");
    assert_eq!(target.bar0_read(FEATURES, 4)?, MSIX);
    Ok(())
}

#[test]
fn memory_that_is_unplugged_is_nobodys() -> Result<()> {
    let (bed, daemon) = (Bed::new()?, daemon()?);
    let machine = bed
        .with_features(&(), &daemon, Place::Pc)
        .arguments(["-m", "256M,slots=1,maxmem=1G"])
        .arguments([
            "-object",
            "memory-backend-memfd,id=module,size=128M,share=on",
        ])
        .device("pc-dimm,id=dimm,memdev=module")
        .qtest()
        .start()?;
    let mut driver = Driver::new(QtestTarget::new(machine, Place::Pc)?)?;
    assert_eq!(driver.open(MODULE)?, Ok(0));
    assert_eq!(driver.open(0x100_0000)?, Ok(1));
    assert_eq!(daemon.workers()?.len(), 2);
    driver.acknowledge()?;
    let generation = driver.read(GENERATION)?;

    let qtest = driver.0.machine.qtest()?;
    qtest.port_write(SELECT, 4, 0)?;
    qtest.port_write(CONTROL, 1, EJECT)?;
    // It is gone when that is done.
    assert!(daemon.workers()?.is_empty(), "a worker is left");
    let qmp = driver.0.machine.qmp();
    qmp.wait_event("DEVICE_DELETED", Duration::from_secs(20))?;
    driver.waits_for_state(state::READY)?;
    assert_eq!(driver.read(GENERATION)?, generation + 1);
    assert_eq!(driver.read(EVENTS)?, event::STATE | event::CHANNEL);

    assert_eq!(driver.open(MODULE)?, Err(code::NOT_MEMORY.into()));
    assert_eq!(driver.open(0x100_0000)?, Ok(0));
    assert_eq!(driver.close(0)?, Ok(0));
    within(Duration::from_secs(1), || Ok(daemon.workers()?.is_empty())).context("a worker is left")
}
