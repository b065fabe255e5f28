//! Ends of a program, its worker, the device, its driver and the daemon, with a program at work.

use anyhow::{Context, Result};
use rustix::process::{Signal, kill_process};
use vgpu_bed::daemon::{Daemon, within};
use vgpu_bed::machine::Machine;
use vgpu_bed::soak;

use super::{CPU, LIMIT, begin, computes, ended, insert, kernel_is_content, no_worker, start};
use crate::bed::Bed;
use crate::common::features::daemon_with;
use crate::common::{Place, run};

/// One after another ends while a program computes: it is told, and what is left of the device serves the next.
pub(super) fn all_end(machine: &mut Machine, daemon: &mut Daemon, place: Place) -> Result<()> {
    let device = format!("/sys/bus/pci/devices/{}", place.address());
    let driver = "/sys/bus/pci/drivers/vgpu";
    // The program.
    begin(machine, daemon)?;
    run(machine, "kill -9 $(cat /cuda.pid)")?;
    no_worker(daemon)?;
    ended(machine)?;
    // Its worker.
    begin(machine, daemon)?;
    for worker in daemon.workers()? {
        kill_process(worker, Signal::KILL)?;
    }
    ended(machine)?;
    computes(machine)?;
    no_worker(daemon)?;
    // The device, by a function level reset.
    begin(machine, daemon)?;
    run(machine, &format!("echo 1 >{device}/reset"))?;
    no_worker(daemon)?;
    ended(machine)?;
    computes(machine)?;
    no_worker(daemon)?;
    // Its driver.
    begin(machine, daemon)?;
    let unbind = format!("echo {} >{driver}/unbind", place.address());
    run(machine, &unbind)?;
    no_worker(daemon)?;
    ended(machine)?;
    run(machine, "[ ! -e /dev/vgpu0 ]")?;
    let bind = format!("echo {} >{driver}/bind", place.address());
    run(machine, &bind)?;
    computes(machine)?;
    no_worker(daemon)?;
    // The daemon, and its workers with it.
    begin(machine, daemon)?;
    daemon.kill()?;
    ended(machine)?;
    returns(machine, daemon)
}

/// A daemon comes again, and serves the driver that is there.
pub(super) fn returns(machine: &mut Machine, daemon: &mut Daemon) -> Result<()> {
    daemon.start_again(CPU)?;
    within(LIMIT, || Ok(computes(machine).is_ok())).context("no daemon again")?;
    no_worker(daemon)
}

/// Whatever ends a program, its worker or the device at work: nobody keeps memory, and the next program computes.
#[test]
fn ends_of_programs_workers_and_the_device() -> Result<()> {
    let (bed, mut daemon) = (Bed::new()?, daemon_with(CPU)?);
    let place = Place::Pc;
    let (_served, mut machine) = start(&bed, &daemon, place)?;
    computes(&mut machine)?;
    no_worker(&daemon)?;
    for _ in 0..soak::times() {
        all_end(&mut machine, &mut daemon, place)?;
    }
    run(&mut machine, "rmmod vgpu")?;
    insert(&mut machine)?;
    computes(&mut machine)?;
    kernel_is_content(&mut machine)?;
    machine.power_off()
}
