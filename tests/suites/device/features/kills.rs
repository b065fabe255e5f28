//! QEMU, or its device, ends in the middle of a stream: nobody keeps the guest's memory, and the next machine has it all.

use anyhow::{Context, Result};
use rustix::process::Signal;
use serde_json::json;
use vgpu_bed::daemon::{ECHO, within};
use vgpu_bed::soak;

use crate::bed::Bed;
use crate::common::Place;
use crate::common::features::ends::{
    GIVEN_UP, LIMIT, given_up, has_ended, no_worker, stream, stream_fails,
};
use crate::common::features::{LITTLE, Started, ping};

#[test]
fn of_qemu() -> Result<()> {
    let place = Place::Q35;
    let mut started = Started::<Bed>::new(place)?;
    for _ in 0..soak::times() {
        let streaming = stream(&mut started.machine, &started.daemon)?;
        started.machine.signal(Signal::KILL)?;
        no_worker(&started.daemon, GIVEN_UP)?;
        within(GIVEN_UP, || Ok(streaming.ram.mapped_by().is_empty()))
            .context("somebody has the guest's memory")?;
        started.machine_anew(place)?;
    }
    ping(&mut started.machine, LITTLE)?;
    started.machine.power_off()
}

#[test]
fn of_qemu_and_the_daemon() -> Result<()> {
    let place = Place::Q35;
    let mut started = Started::<Bed>::new(place)?;
    for round in 0..soak::times() {
        let streaming = stream(&mut started.machine, &started.daemon)?;
        // Whichever is first.
        if round.is_multiple_of(2) {
            started.daemon.kill()?;
            started.machine.signal(Signal::KILL)?;
        } else {
            started.machine.signal(Signal::KILL)?;
            started.daemon.kill()?;
        }
        within(GIVEN_UP, || Ok(has_ended(streaming.worker))).context("a worker is left")?;
        within(GIVEN_UP, || Ok(streaming.ram.mapped_by().is_empty()))
            .context("somebody has the guest's memory")?;
        started.daemon.start_again(ECHO)?;
        started.machine_anew(place)?;
    }
    ping(&mut started.machine, LITTLE)?;
    started.machine.power_off()
}

#[test]
fn of_a_device_that_is_unplugged() -> Result<()> {
    let mut started = Started::<Bed>::new(Place::Pc)?;
    let streaming = stream(&mut started.machine, &started.daemon)?;
    let qmp = started.machine.qmp();
    qmp.execute("device_del", json!({ "id": "vgpu" }))?;
    qmp.wait_event("DEVICE_DELETED", LIMIT)?;
    no_worker(&started.daemon, GIVEN_UP)?;
    given_up(streaming.ram, &started)?;
    stream_fails(&mut started.machine)?;
    started.machine.power_off()
}
