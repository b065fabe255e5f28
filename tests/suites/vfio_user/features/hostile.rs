//! A driver that tries whatever a driver can.

use std::time::Duration;

use anyhow::Result;
use rustix::process::Pid;
use vgpu_bed::daemon::within;
use vgpu_bed::soak;

use super::{LITTLE, daemon, ping, start};
use crate::bed::Bed;
use crate::common::{LOG_LIMIT, Place, memory_kib};

/// What server and daemon may have more after the attacks than before: allocators keep some of what they had.
const GROWTH_KIB: u64 = 1024;

/// How long all acts may take, on a busy machine.
const ATTACKED: Duration = Duration::from_secs(120);

fn withstands(place: Place) -> Result<()> {
    let (bed, daemon) = (Bed::new()?, daemon()?);
    let (mut served, mut machine) = start(&bed, &daemon, place)?;
    ping(&mut machine, LITTLE)?;
    let processes = [served.server.pid(), daemon.pid()];
    let before = memory(processes)?;
    for _ in 0..soak::times() {
        let command = format!("vgpu-hostile-driver --device {}", place.address());
        let said = machine.guest()?.run_within(&command, ATTACKED)?;
        println!("{}{}", said.stdout, said.stderr);
        said.success()?;
        ping(&mut machine, LITTLE)?;
    }
    let after = memory(processes)?;
    println!("memory of the server and the daemon: {before:?} KiB, then {after:?} KiB");
    for (before, after) in before.into_iter().zip(after) {
        assert!(after <= before + GROWTH_KIB, "it grows");
    }
    machine.power_off()?;
    within(Duration::from_secs(1), || Ok(daemon.workers()?.is_empty()))?;
    served.server.stop()?;
    for log in [served.server.log(), daemon.log()] {
        println!("a log: {} bytes\n{log}", log.len());
        assert!(log.len() < LOG_LIMIT, "{log}");
    }
    Ok(())
}

fn memory([server, daemon]: [Pid; 2]) -> Result<[u64; 2]> {
    Ok([memory_kib(server)?, memory_kib(daemon)?])
}

#[test]
fn a_hostile_driver_on_q35() -> Result<()> {
    withstands(Place::Q35)
}

#[test]
fn a_hostile_driver_on_pc() -> Result<()> {
    withstands(Place::Pc)
}
