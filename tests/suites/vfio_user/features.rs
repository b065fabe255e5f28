//! A device with features: a guest shares its memory with a daemon's worker, through a stock QEMU.

mod daemon;
mod ends;
mod hostile;

use anyhow::{Result, ensure};
use serde_json::Value;
use vgpu_bed::machine::Machine;

use crate::bed::{Bed, Served};
use crate::common::{Place, VGPU};
use daemon::Daemon;

/// A server whose device has channels, and a machine with it.
fn start(bed: &Bed, daemon: &Daemon, place: Place) -> Result<(Served, Machine)> {
    let served = bed.serve(&daemon.arguments().each_ref().map(String::as_str))?;
    let machine = bed.machine(&served, place).image(&bed.image_with_cuda()?);
    let machine = machine.start()?;
    Ok((served, machine))
}

/// What `vgpu ping` measured, in which all was well.
fn ping(machine: &mut Machine, arguments: &str) -> Result<Value> {
    let command = format!("{VGPU} ping --json {arguments}");
    let said = machine.guest()?.run(&command)?;
    println!("{}{}", said.stdout, said.stderr);
    let found: Value = serde_json::from_str(&said.success()?)?;
    let none = |of: &str, what: &str| found[of].is_null() || found[of][what] == 0;
    ensure!(none("parks", "late"), "a wake-up was late");
    for stream in ["to_host", "to_guest"] {
        ensure!(none(stream, "wrong"), "data was wrong");
    }
    Ok(found)
}

/// A few seconds' worth of all that it tries.
const ALL: &str = "--bytes 64M --count 20000 --parks 20";

/// How often streams are tried: an emulated guest is often slower than its host, which then sleeps between records. A host
/// that never waits for the next one sleeps before each, every time.
const TRIES: u32 = 5;

/// Enough to see that it works.
const LITTLE: &str = "--region 4M --bytes 4M --count 100 --parks 2";

fn a_guest_shares_its_memory(place: Place) -> Result<()> {
    let (bed, daemon) = (Bed::new()?, Daemon::start()?);
    let (_served, mut machine) = start(&bed, &daemon, place)?;
    let found = ping(&mut machine, ALL)?;
    // How much it may be is for a machine that does nothing else.
    let ratio = found["ratio"].as_f64();
    println!("an echo takes as long as {ratio:?} bare round trips");
    assert!(ratio.is_some_and(|ratio| ratio > 0.0));
    assert_eq!(found["parks"]["count"], 20);
    let flows = |found: &Value, stream: &str| {
        let number = |name: &str| found[stream][name].as_u64();
        let (doorbells, records) = (number("doorbells"), number("records"));
        doorbells
            .zip(records)
            .is_some_and(|(doorbells, records)| 2 * doorbells <= records)
    };
    let flow = |found: &Value| flows(found, "to_host") && flows(found, "to_guest");
    let mut tries = 1;
    let mut last = found;
    while !flow(&last) {
        assert!(tries < TRIES, "the host sleeps while records flow");
        last = ping(&mut machine, ALL)?;
        tries += 1;
    }
    machine.power_off()
}

#[test]
fn a_guest_shares_its_memory_on_q35() -> Result<()> {
    a_guest_shares_its_memory(Place::Q35)
}

#[test]
fn a_guest_shares_its_memory_on_pc() -> Result<()> {
    a_guest_shares_its_memory(Place::Pc)
}
