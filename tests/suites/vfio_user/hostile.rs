//! A hostile guest against the server, through a stock QEMU.

use std::thread;
use std::time::Duration;

use anyhow::Result;

use crate::bed::Bed;
use crate::common::{ATTACKED, LOG_LIMIT, Place, attack, memory_kib, processor_time};

/// What the server may have more after two attacks than before. It allocates
/// for no access.
const GROWTH_KIB: u64 = 64;
const IDLE: Duration = Duration::from_secs(2);

fn withstands(place: Place, processors: u8) -> Result<()> {
    let bed = Bed::new()?;
    let mut served = bed.serve(&[])?;
    let mut machine = bed
        .machine(&served, place)
        .device("pci-testdev,addr=6")
        .arguments(["-smp", &processors.to_string()])
        .tcg(ATTACKED)
        .image(&bed.image()?)
        .start()?;
    machine.guest()?.run("vgpu-stub check")?.success()?;
    let pid = served.server.pid();
    let before = memory_kib(pid)?;
    attack(&mut machine, place)?;
    let after = memory_kib(pid)?;
    println!("the server's own memory: {before} KiB, then {after} KiB");
    assert!(
        after <= before + GROWTH_KIB,
        "it grows: {before} KiB, then {after} KiB"
    );

    let counters = served.counters()?;
    println!("{counters:?}");
    assert_ne!((counters.refused_reads, counters.refused_writes), (0, 0));
    let used = processor_time(pid)?;
    thread::sleep(IDLE);
    assert_eq!(
        processor_time(pid)?,
        used,
        "an idle server uses the processor"
    );
    machine.power_off()?;
    served.server.stop()?;
    let log = served.server.log();
    println!("the server's log: {} bytes", log.len());
    assert!(log.len() < LOG_LIMIT, "{log}");
    Ok(())
}

#[test]
fn of_one_processor_on_q35() -> Result<()> {
    withstands(Place::Q35, 1)
}

#[test]
fn of_two_processors_on_pc() -> Result<()> {
    withstands(Place::Pc, 2)
}

#[test]
fn of_two_processors_behind_a_root_port() -> Result<()> {
    withstands(Place::RootPort, 2)
}
