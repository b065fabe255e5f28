//! Ends of a program, its worker, the device, its driver and the daemon, with a program at work.

use anyhow::{Context, Result};
use rustix::process::{Signal, kill_process};
use vgpu_bed::daemon::within;
use vgpu_bed::soak;

use super::{CPU, LIMIT, begin, computes, ended, kernel_is_content, no_worker, start};
use crate::bed::Bed;
use crate::common::features::daemon_with;
use crate::common::{Place, run};

/// Whatever ends a program, its worker or the device at work: nobody keeps memory, and the next program computes.
#[test]
fn ends_of_programs_workers_and_the_device() -> Result<()> {
    let (bed, mut daemon) = (Bed::new()?, daemon_with(CPU)?);
    let place = Place::Pc;
    let (_served, mut machine) = start(&bed, &daemon, place)?;
    let device = format!("/sys/bus/pci/devices/{}", place.address());
    let driver = "/sys/bus/pci/drivers/vgpu";
    computes(&mut machine)?;
    no_worker(&daemon)?;
    for _ in 0..soak::times() {
        // The program.
        begin(&mut machine, &daemon)?;
        run(&mut machine, "kill -9 $(cat /cuda.pid)")?;
        no_worker(&daemon)?;
        ended(&mut machine)?;
        // Its worker.
        begin(&mut machine, &daemon)?;
        for worker in daemon.workers()? {
            kill_process(worker, Signal::KILL)?;
        }
        ended(&mut machine)?;
        computes(&mut machine)?;
        no_worker(&daemon)?;
        // The device, by a function level reset.
        begin(&mut machine, &daemon)?;
        run(&mut machine, &format!("echo 1 >{device}/reset"))?;
        no_worker(&daemon)?;
        ended(&mut machine)?;
        computes(&mut machine)?;
        no_worker(&daemon)?;
        // Its driver.
        begin(&mut machine, &daemon)?;
        let unbind = format!("echo {} >{driver}/unbind", place.address());
        run(&mut machine, &unbind)?;
        no_worker(&daemon)?;
        ended(&mut machine)?;
        run(&mut machine, "[ ! -e /dev/vgpu0 ]")?;
        let bind = format!("echo {} >{driver}/bind", place.address());
        run(&mut machine, &bind)?;
        computes(&mut machine)?;
        no_worker(&daemon)?;
        // The daemon, and its workers with it.
        begin(&mut machine, &daemon)?;
        daemon.kill()?;
        ended(&mut machine)?;
        daemon.start_again(CPU)?;
        within(LIMIT, || Ok(computes(&mut machine).is_ok())).context("no daemon again")?;
        no_worker(&daemon)?;
    }
    run(&mut machine, "rmmod vgpu")?;
    run(&mut machine, "insmod /bin/vgpu.ko")?;
    computes(&mut machine)?;
    kernel_is_content(&mut machine)?;
    machine.power_off()
}
