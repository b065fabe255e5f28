//! Ends of a guest, its device's driver, a worker, the daemon and QEMU in the middle of a stream: nobody keeps the guest's
//! memory, and the next stream works.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use vgpu_bed::machine::Machine;
use vgpu_bed::soak;

use super::daemon::{Daemon, within};
use super::{LITTLE, ping, start};
use crate::bed::Bed;
use crate::common::{Place, VGPU, processor_time, run};

/// How long memory may be held after its guest has lost it.
const GIVEN_UP: Duration = Duration::from_secs(1);

/// How long something may take that nobody waits for, on a busy machine.
const LIMIT: Duration = Duration::from_secs(20);

/// How long a stream may take until it says that its worker is gone: it looks ten times a second, and gives its memory back.
const NOTICED: Duration = Duration::from_secs(3);

/// Starts a stream that goes on for longer than any test, and waits until it flows.
fn stream(machine: &mut Machine, daemon: &Daemon) -> Result<()> {
    let ping = format!("{VGPU} ping --count 0 --parks 0 --region 2M --bytes 900G");
    let command = format!(
        "rm -f /ping.*; ({ping} >/ping.out 2>&1; echo $? >/ping.new; mv /ping.new /ping.rc) >/dev/null 2>&1 &"
    );
    run(machine, &command)?;
    within(LIMIT, || Ok(daemon.workers()?.len() == 1)).context("no stream")?;
    // Huge pages are zeroed first, and then it flows.
    let worker = daemon.workers()?;
    let worker = worker.first().context("no worker")?;
    let used = || processor_time(*worker);
    within(LIMIT, || Ok(used().unwrap_or(0) >= 5)).context("the stream does not flow")
}

/// Waits until that stream has ended with an error, and gives what it said.
fn stream_fails(machine: &mut Machine, limit: Duration) -> Result<String> {
    let tries = limit.as_millis() / 100;
    let wait = format!("for i in $(seq {tries}); do [ -e /ping.rc ] && break; sleep 0.1; done");
    let said = run(
        machine,
        &format!("{wait}; cat /ping.out; echo; cat /ping.rc"),
    )?;
    let code = said.lines().last().and_then(|it| it.parse::<u8>().ok());
    let code = code.with_context(|| format!("the stream goes on: {said}"))?;
    ensure!(code == 2, "the stream ended with {code}: {said}");
    Ok(said)
}

fn no_worker(daemon: &Daemon, limit: Duration) -> Result<()> {
    within(limit, || Ok(daemon.workers()?.is_empty())).context("a worker is left")
}

#[test]
fn of_a_guest_that_is_reset() -> Result<()> {
    let (bed, daemon) = (Bed::new()?, Daemon::start()?);
    let (_served, mut machine) = start(&bed, &daemon, Place::Q35)?;
    for _ in 0..soak::times() {
        stream(&mut machine, &daemon)?;
        let worker = daemon.workers()?;
        machine.reset()?;
        within(GIVEN_UP, || Ok(daemon.workers()? != worker))?;
        no_worker(&daemon, GIVEN_UP)?;
        ping(&mut machine, LITTLE)?;
    }
    machine.power_off()
}

#[test]
fn of_a_driver_whose_device_is_reset() -> Result<()> {
    let (bed, daemon) = (Bed::new()?, Daemon::start()?);
    let place = Place::Pc;
    let (_served, mut machine) = start(&bed, &daemon, place)?;
    ping(&mut machine, LITTLE)?;
    let descriptors = daemon.descriptors()?;
    for _ in 0..5 * soak::times() {
        stream(&mut machine, &daemon)?;
        let reset = format!("echo 1 >/sys/bus/pci/devices/{}/reset", place.address());
        run(&mut machine, &reset)?;
        no_worker(&daemon, GIVEN_UP)?;
        let said = stream_fails(&mut machine, NOTICED)?;
        ensure!(said.contains("the device was reset"), "{said}");
    }
    ping(&mut machine, LITTLE)?;
    assert_eq!(daemon.descriptors()?, descriptors, "descriptors are left");
    machine.power_off()
}

#[test]
fn of_a_worker() -> Result<()> {
    let (bed, daemon) = (Bed::new()?, Daemon::start()?);
    let (_served, mut machine) = start(&bed, &daemon, Place::Q35)?;
    for _ in 0..2 * soak::times() {
        stream(&mut machine, &daemon)?;
        for worker in daemon.workers()? {
            kill_process(worker, Signal::KILL)?;
        }
        let said = stream_fails(&mut machine, NOTICED)?;
        ensure!(said.contains("a channel's worker has ended"), "{said}");
        ping(&mut machine, LITTLE)?;
    }
    no_worker(&daemon, GIVEN_UP)?;
    machine.power_off()
}

#[test]
fn of_a_daemon() -> Result<()> {
    let (bed, mut daemon) = (Bed::new()?, Daemon::start()?);
    let (_served, mut machine) = start(&bed, &daemon, Place::Pc)?;
    for _ in 0..2 * soak::times() {
        stream(&mut machine, &daemon)?;
        let workers = daemon.workers()?;
        daemon.kill()?;
        // They end with it, whether or not somebody takes note.
        let gone = |pid: &Pid| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
            stat.map_or(true, |stat| stat.contains(") Z "))
        };
        within(GIVEN_UP, || Ok(workers.iter().all(gone))).context("a worker is left")?;
        let said = stream_fails(&mut machine, NOTICED)?;
        ensure!(
            said.contains("the device's host is gone (STATE 3)"),
            "{said}"
        );
        daemon.start_again()?;
        ping(&mut machine, &format!("{LITTLE} --wait 10"))?;
    }
    machine.power_off()
}

#[test]
fn of_qemu() -> Result<()> {
    let (bed, daemon) = (Bed::new()?, Daemon::start()?);
    let (served, mut machine) = start(&bed, &daemon, Place::Q35)?;
    stream(&mut machine, &daemon)?;
    machine.signal(Signal::KILL)?;
    no_worker(&daemon, GIVEN_UP)?;
    drop(machine);
    // The next VM has it all.
    let machine = bed
        .machine(&served, Place::Q35)
        .image(&bed.image_with_cuda()?);
    let mut machine = machine.start()?;
    ping(&mut machine, LITTLE)?;
    machine.power_off()
}
