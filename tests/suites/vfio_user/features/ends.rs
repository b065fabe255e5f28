//! Ends of a guest, its device's driver, a worker and the daemon in the middle of a stream: nobody keeps the guest's memory,
//! no descriptor is left, and the next stream works.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use vgpu_bed::daemon::{Daemon, ECHO, within};
use vgpu_bed::machine::Machine;
use vgpu_bed::ping::VGPU;
use vgpu_bed::soak;

use super::memory::{GuestRam, descriptors};
use super::{LITTLE, daemon, ping, start};
use crate::bed::{Bed, Served};
use crate::common::{Place, processor_time, run};

/// How long memory may be held after its guest has lost it.
pub(super) const GIVEN_UP: Duration = Duration::from_secs(1);

/// How long something may take that nobody waits for, on a busy machine: that a stream says that its worker is gone among it,
/// as its program shares one emulated processor with all else in the guest.
pub(super) const LIMIT: Duration = Duration::from_secs(30);

/// A machine whose guest streams, and who is behind that.
pub(super) struct Streaming {
    pub(super) worker: Pid,
    pub(super) ram: GuestRam,
}

/// Starts a stream that goes on for longer than any test, and waits until it flows.
pub(super) fn stream(machine: &mut Machine, daemon: &Daemon) -> Result<Streaming> {
    let ping = format!("{VGPU} ping --count 0 --parks 0 --region 2M --bytes 900G");
    let command = format!(
        "rm -f /ping.*; ({ping} >/ping.out 2>&1; echo $? >/ping.new; mv /ping.new /ping.rc) >/dev/null 2>&1 &"
    );
    run(machine, &command)?;
    within(LIMIT, || Ok(daemon.workers()?.len() == 1)).context("no stream")?;
    // Huge pages are zeroed first, and then it flows.
    let worker = daemon.workers()?;
    let worker = *worker.first().context("no worker")?;
    let used = || processor_time(worker);
    within(LIMIT, || Ok(used().unwrap_or(0) >= 5)).context("the stream does not flow")?;
    let ram = GuestRam::of(machine)?;
    ram.ensure_mapped_by(worker)?;
    Ok(Streaming { worker, ram })
}

/// Waits until that stream has ended with an error, and gives what it said.
pub(super) fn stream_fails(machine: &mut Machine) -> Result<String> {
    let tries = LIMIT.as_millis() / 100;
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

/// Nobody has memory of the guest's but who always has it.
fn given_up(ram: GuestRam, machine: &Machine, served: &Served, limit: Duration) -> Result<()> {
    let (qemu, server) = (Some(machine.pid()), Some(served.server.pid()));
    within(limit, || Ok(ram.is_only_with(qemu, server))).context("somebody has the guest's memory")
}

/// What server and daemon have open; the same after each round.
struct Open(usize, usize);

impl Open {
    fn of(served: &Served, daemon: &Daemon) -> Result<Self> {
        Ok(Self(
            descriptors(served.server.pid())?,
            descriptors(daemon.pid())?,
        ))
    }

    fn ensure_same(&self, served: &Served, daemon: &Daemon) -> Result<()> {
        let same = || {
            let now = Self::of(served, daemon)?;
            Ok((now.0, now.1) == (self.0, self.1))
        };
        within(GIVEN_UP, same).context("descriptors are left")
    }
}

fn no_worker(daemon: &Daemon, limit: Duration) -> Result<()> {
    within(limit, || Ok(daemon.workers()?.is_empty())).context("a worker is left")
}

#[test]
fn of_a_guest_that_is_reset() -> Result<()> {
    let (bed, daemon) = (Bed::new()?, daemon()?);
    let (served, mut machine) = start(&bed, &daemon, Place::Q35)?;
    ping(&mut machine, LITTLE)?;
    let open = Open::of(&served, &daemon)?;
    for _ in 0..soak::times() {
        let streaming = stream(&mut machine, &daemon)?;
        // It is answered when nobody has the last guest's memory any more.
        machine.reset()?;
        let mapped = streaming.ram.mapped_by();
        ensure!(!mapped.contains(&streaming.worker), "{mapped:?}");
        no_worker(&daemon, GIVEN_UP)?;
        given_up(streaming.ram, &machine, &served, GIVEN_UP)?;
        ping(&mut machine, LITTLE)?;
        open.ensure_same(&served, &daemon)?;
    }
    machine.power_off()
}

#[test]
fn of_a_driver_whose_device_is_reset() -> Result<()> {
    let (bed, daemon) = (Bed::new()?, daemon()?);
    let place = Place::Pc;
    let (served, mut machine) = start(&bed, &daemon, place)?;
    ping(&mut machine, LITTLE)?;
    let open = Open::of(&served, &daemon)?;
    for _ in 0..5 * soak::times() {
        let streaming = stream(&mut machine, &daemon)?;
        let reset = format!("echo 1 >/sys/bus/pci/devices/{}/reset", place.address());
        run(&mut machine, &reset)?;
        no_worker(&daemon, GIVEN_UP)?;
        given_up(streaming.ram, &machine, &served, GIVEN_UP)?;
        let said = stream_fails(&mut machine)?;
        ensure!(said.contains("the device was reset"), "{said}");
        open.ensure_same(&served, &daemon)?;
    }
    ping(&mut machine, LITTLE)?;
    machine.power_off()
}

#[test]
fn of_a_worker() -> Result<()> {
    let (bed, daemon) = (Bed::new()?, daemon()?);
    let (served, mut machine) = start(&bed, &daemon, Place::Q35)?;
    ping(&mut machine, LITTLE)?;
    let open = Open::of(&served, &daemon)?;
    for _ in 0..soak::times() {
        let streaming = stream(&mut machine, &daemon)?;
        kill_process(streaming.worker, Signal::KILL)?;
        no_worker(&daemon, GIVEN_UP)?;
        given_up(streaming.ram, &machine, &served, GIVEN_UP)?;
        let said = stream_fails(&mut machine)?;
        // The device's host is as it was: it is the channel that is lost.
        ensure!(said.contains("a channel's worker has ended"), "{said}");
        ping(&mut machine, LITTLE)?;
        open.ensure_same(&served, &daemon)?;
    }
    machine.power_off()
}

#[test]
fn of_a_daemon() -> Result<()> {
    let (bed, mut daemon) = (Bed::new()?, daemon()?);
    let (served, mut machine) = start(&bed, &daemon, Place::Pc)?;
    ping(&mut machine, LITTLE)?;
    let open = Open::of(&served, &daemon)?;
    for _ in 0..soak::times() {
        let streaming = stream(&mut machine, &daemon)?;
        daemon.kill()?;
        // They end with it, whether or not somebody takes note.
        within(GIVEN_UP, || Ok(has_ended(streaming.worker))).context("a worker is left")?;
        given_up(streaming.ram, &machine, &served, GIVEN_UP)?;
        let said = stream_fails(&mut machine)?;
        ensure!(
            said.contains("the device's host is gone (STATE 3)"),
            "{said}"
        );
        daemon.start_again(ECHO)?;
        ping(&mut machine, &format!("{LITTLE} --wait 20"))?;
        open.ensure_same(&served, &daemon)?;
    }
    machine.power_off()
}

/// Whether a process is gone, or would be if somebody took note.
pub(super) fn has_ended(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.map_or(true, |stat| stat.contains(") Z "))
}
