//! Ends of a guest, its device's driver, a worker and the daemon in the middle of a stream: nobody keeps the guest's memory,
//! no descriptor is left, and the next stream works.

use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};
use vgpu_bed::daemon::{Daemon, ECHO, within};
use vgpu_bed::machine::Machine;
use vgpu_bed::ping::VGPU;
use vgpu_bed::soak;

use super::memory::{GuestRam, descriptors};
use super::{FeaturesBed, LITTLE, Started, ping};
use crate::common::{Place, processor_time, run};

/// How long memory may be held after its guest has lost it.
pub(crate) const GIVEN_UP: Duration = Duration::from_secs(1);

/// How long a worker goes on without a daemon.
pub(crate) const GRACE: Duration = Duration::from_secs(5);

/// How long something may take that nobody waits for, on a busy machine: that a stream says that its worker is gone among it,
/// as its program shares one emulated processor with all else in the guest.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// A machine whose guest streams, and who is behind that.
pub(crate) struct Streaming {
    pub(crate) worker: Pid,
    pub(crate) ram: GuestRam,
}

/// Starts a stream that goes on for longer than any test, and waits until it flows.
pub(crate) fn stream(machine: &mut Machine, daemon: &Daemon) -> Result<Streaming> {
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
pub(crate) fn stream_fails(machine: &mut Machine) -> Result<String> {
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
pub(crate) fn given_up<B: FeaturesBed>(ram: GuestRam, started: &Started<B>) -> Result<()> {
    let (qemu, process) = (Some(started.machine.pid()), Some(started.process()));
    within(GIVEN_UP, || Ok(ram.is_only_with(qemu, process)))
        .context("somebody has the guest's memory")
}

/// What the process with the device and the daemon have open; the same after each round.
#[derive(PartialEq, Eq)]
struct Open([usize; 2]);

impl Open {
    fn of<B: FeaturesBed>(started: &Started<B>) -> Result<Self> {
        let (process, daemon) = (started.process(), started.daemon.pid());
        Ok(Self([descriptors(process)?, descriptors(daemon)?]))
    }

    fn ensure_same<B: FeaturesBed>(&self, started: &Started<B>) -> Result<()> {
        within(GIVEN_UP, || Ok(Self::of(started)? == *self)).context("descriptors are left")
    }
}

pub(crate) fn no_worker(daemon: &Daemon, limit: Duration) -> Result<()> {
    within(limit, || Ok(daemon.workers()?.is_empty())).context("a worker is left")
}

pub(crate) fn of_a_guest_that_is_reset<B: FeaturesBed>(place: Place) -> Result<()> {
    let mut started = Started::<B>::new(place)?;
    ping(&mut started.machine, LITTLE)?;
    let open = Open::of(&started)?;
    for _ in 0..soak::times() {
        let streaming = stream(&mut started.machine, &started.daemon)?;
        // It is answered when nobody has the last guest's memory any more.
        started.machine.reset()?;
        let mapped = streaming.ram.mapped_by();
        ensure!(!mapped.contains(&streaming.worker), "{mapped:?}");
        no_worker(&started.daemon, GIVEN_UP)?;
        given_up(streaming.ram, &started)?;
        ping(&mut started.machine, LITTLE)?;
        open.ensure_same(&started)?;
    }
    started.machine.power_off()
}

pub(crate) fn of_a_driver_whose_device_is_reset<B: FeaturesBed>(place: Place) -> Result<()> {
    let mut started = Started::<B>::new(place)?;
    ping(&mut started.machine, LITTLE)?;
    let open = Open::of(&started)?;
    for _ in 0..5 * soak::times() {
        let streaming = stream(&mut started.machine, &started.daemon)?;
        let reset = format!("echo 1 >/sys/bus/pci/devices/{}/reset", place.address());
        run(&mut started.machine, &reset)?;
        no_worker(&started.daemon, GIVEN_UP)?;
        given_up(streaming.ram, &started)?;
        let said = stream_fails(&mut started.machine)?;
        ensure!(said.contains("the device was reset"), "{said}");
        open.ensure_same(&started)?;
    }
    ping(&mut started.machine, LITTLE)?;
    started.machine.power_off()
}

pub(crate) fn of_a_worker<B: FeaturesBed>(place: Place) -> Result<()> {
    let mut started = Started::<B>::new(place)?;
    ping(&mut started.machine, LITTLE)?;
    let open = Open::of(&started)?;
    for _ in 0..soak::times() {
        let streaming = stream(&mut started.machine, &started.daemon)?;
        kill_process(streaming.worker, Signal::KILL)?;
        no_worker(&started.daemon, GIVEN_UP)?;
        given_up(streaming.ram, &started)?;
        let said = stream_fails(&mut started.machine)?;
        // The device's host is as it was: it is the channel that is lost.
        ensure!(said.contains("a channel's worker has ended"), "{said}");
        ping(&mut started.machine, LITTLE)?;
        open.ensure_same(&started)?;
    }
    started.machine.power_off()
}

pub(crate) fn of_a_daemon<B: FeaturesBed>(place: Place) -> Result<()> {
    let mut started = Started::<B>::new(place)?;
    ping(&mut started.machine, LITTLE)?;
    let open = Open::of(&started)?;
    for _ in 0..soak::times() {
        let streaming = stream(&mut started.machine, &started.daemon)?;
        started.daemon.kill()?;
        // It waits for the next one, and ends by itself.
        thread::sleep(GRACE / 2);
        ensure!(!has_ended(streaming.worker), "the worker ended too early");
        within(GRACE / 2 + GIVEN_UP, || Ok(has_ended(streaming.worker)))
            .context("a worker is left")?;
        given_up(streaming.ram, &started)?;
        let said = stream_fails(&mut started.machine)?;
        ensure!(
            said.contains("the device's host is gone (STATE 3)"),
            "{said}"
        );
        started.daemon.start_again(ECHO)?;
        ping(&mut started.machine, &format!("{LITTLE} --wait 20"))?;
        open.ensure_same(&started)?;
    }
    started.machine.power_off()
}

/// A stream of bytes that are checked goes on over ends of the daemon, by the same worker.
pub(crate) fn of_a_daemon_that_another_follows<B: FeaturesBed>(place: Place) -> Result<()> {
    let mut started = Started::<B>::new(place)?;
    let streaming = stream(&mut started.machine, &started.daemon)?;
    let moved = || processor_time(streaming.worker).unwrap_or(0);
    for _ in 0..soak::times() {
        started.daemon.kill()?;
        thread::sleep(Duration::from_millis(fastrand::u64(..1000)));
        started.daemon.start_again(ECHO)?;
        // Longer than it goes on without a daemon that has adopted it.
        thread::sleep(GRACE + GIVEN_UP);
        let before = moved();
        within(LIMIT, || Ok(moved() >= before + 5)).context("the stream does not flow")?;
        let ended = run(&mut started.machine, "cat /ping.out; [ ! -e /ping.rc ]");
        ended.context("the stream has ended")?;
    }
    streaming.ram.ensure_mapped_by(streaming.worker)?;
    // An adopted worker is the daemon's as any other.
    kill_process(streaming.worker, Signal::KILL)?;
    let said = stream_fails(&mut started.machine)?;
    ensure!(said.contains("a channel's worker has ended"), "{said}");
    given_up(streaming.ram, &started)?;
    // A whole stream, all of whose bytes are checked.
    let ping = format!("{VGPU} ping --json --count 0 --parks 0 --region 2M --bytes 512M");
    let command = format!(
        "rm -f /ping.*; ({ping} >/ping.out 2>/ping.err; echo $? >/ping.new; mv /ping.new /ping.rc) >/dev/null 2>&1 &"
    );
    run(&mut started.machine, &command)?;
    within(LIMIT, || Ok(started.daemon.workers()?.len() == 1)).context("no stream")?;
    let mut times = 0;
    while run(&mut started.machine, "[ ! -e /ping.rc ]").is_ok() {
        started.daemon.kill()?;
        started.daemon.start_again(ECHO)?;
        thread::sleep(Duration::from_secs(1));
        times += 1;
    }
    let said = run(
        &mut started.machine,
        "cat /ping.err /ping.rc; cat /ping.out",
    )?;
    println!("{times} daemons: {said}");
    ensure!(times > 1 && said.starts_with('0'), "{said}");
    let (_, report) = said.split_once('\n').context("no report")?;
    let report: serde_json::Value = serde_json::from_str(report)?;
    for way in ["to_host", "to_guest"] {
        let wrong = &report[way]["wrong"];
        ensure!(wrong.is_null() || *wrong == 0, "{report}");
    }
    super::ping(&mut started.machine, LITTLE)?;
    started.machine.power_off()
}

/// Whether a process is gone, or would be if somebody took note.
pub(crate) fn has_ended(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.map_or(true, |stat| stat.contains(") Z "))
}
