//! A device with features: a guest shares its memory with a daemon's worker, through a stock QEMU.

mod driver;
mod ends;
mod hostile;
mod kills;
mod memory;
mod saved;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use vgpu_bed::daemon::{Daemon, ECHO, ECHO_AWAKE};
use vgpu_bed::machine::Machine;
use vgpu_bed::ping::VGPU;
use vgpu_bed::soak;

use crate::bed::{Bed, Served};
use crate::common::{Place, environment};

fn daemon() -> Result<Daemon> {
    daemon_with(ECHO)
}

fn daemon_with(engine: &str) -> Result<Daemon> {
    let programs = environment("VGPU_STUB_CUDA_PROGRAMS")?;
    Daemon::start(&programs.join("vgpud"), engine)
}

/// A server whose device has channels, and a machine with it.
fn start(bed: &Bed, daemon: &Daemon, place: Place) -> Result<(Served, Machine)> {
    let served = bed.serve(&daemon.arguments().each_ref().map(String::as_str))?;
    let machine = bed.machine(&served, place).image(&bed.image_with_cuda()?);
    let machine = machine.start()?;
    Ok((served, machine))
}

/// What of a measurement is about data.
const STREAMS: [&str; 2] = ["to_host", "to_guest"];

/// What `vgpu ping` measured, in which all was well.
fn ping(machine: &mut Machine, arguments: &str) -> Result<Value> {
    let command = format!("{VGPU} ping --json {arguments}");
    let said = machine.guest()?.run_within(&command, MEASURED)?;
    println!("{}{}", said.stdout, said.stderr);
    let found: Value = serde_json::from_str(&said.success()?)?;
    let none = |of: &str, what: &str| found[of].is_null() || found[of][what] == 0;
    ensure!(none("parks", "late"), "a wake-up was late");
    for stream in STREAMS {
        ensure!(none(stream, "wrong"), "data was wrong");
    }
    Ok(found)
}

/// How often a host that sleeps is woken; a soak does it 10,000 times.
const PARKS: u32 = 200;

/// How long a measurement may take, on a busy machine or in a soak.
const MEASURED: Duration = Duration::from_secs(600);

/// Enough to see that it works.
const LITTLE: &str = "--region 4M --bytes 4M --count 100 --parks 2";

/// The same for a host that does not sleep.
const AWAKE: &str = "--region 4M --bytes 4M --count 100 --parks 0 --wait 20";

/// Doorbells and records of a stream.
fn doorbells(found: &Value, stream: &str) -> Result<(u64, u64)> {
    let number = |name: &str| found[stream][name].as_u64();
    let both = number("doorbells").zip(number("records"));
    both.with_context(|| format!("no stream {stream}"))
}

/// How fast it is, and how seldom the host sleeps, is for a machine that does nothing else, and for programs that are
/// optimised, as these are not: `cargo xtask bench features`.
fn a_guest_shares_its_memory(place: Place) -> Result<()> {
    let (bed, mut daemon) = (Bed::new()?, daemon()?);
    let (_served, mut machine) = start(&bed, &daemon, place)?;
    let parks = PARKS * soak::times();
    let all = format!("--bytes 64M --count 20000 --parks {parks}");
    let found = ping(&mut machine, &all)?;
    let ratio = found["ratio"].as_f64();
    println!("an echo takes as long as {ratio:?} bare round trips");
    assert!(ratio.is_some_and(|ratio| ratio > 0.0));
    assert_eq!(found["parks"]["count"], parks);
    for stream in STREAMS {
        let (doorbells, records) = doorbells(&found, stream)?;
        assert!(doorbells <= records, "{stream}: {doorbells} of {records}");
    }
    // A host that does not sleep need not be rung.
    daemon.kill()?;
    daemon.start_again(ECHO_AWAKE)?;
    let found = ping(&mut machine, AWAKE)?;
    for stream in STREAMS {
        assert_eq!(doorbells(&found, stream)?.0, 0, "{stream}");
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
