//! The guest's driver: CUDA programs of a guest compute on the host's engine.

mod canaries;
mod doctor;
mod ends;
mod hostile;
mod kernels;
mod kills;
mod programs;
mod registered;
mod sanitized;

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use vgpu_bed::daemon::{Daemon, within};
use vgpu_bed::guest::GuestImage;
use vgpu_bed::machine::Machine;

use crate::bed::{Bed, Served};
use crate::common::{CUDA, Place, run};

/// How long a program may take that is emulated, and whose kernels are interpreted, on a busy machine.
pub(super) const COMPUTED: Duration = Duration::from_secs(60);

/// How long something may take that nobody waits for.
const LIMIT: Duration = Duration::from_secs(20);

/// The engine that computes.
pub(super) const CPU: &str = "cpu";

/// What the program says in the end.
pub(super) const RIGHT: &str = "1000 sums are right on";

/// A machine with the driver, whose device a daemon with this engine serves.
pub(super) fn start(bed: &Bed, daemon: &Daemon, place: Place) -> Result<(Served, Machine)> {
    boot(bed, daemon, place, &bed.image_with_driver()?)
}

fn boot(bed: &Bed, daemon: &Daemon, place: Place, image: &GuestImage) -> Result<(Served, Machine)> {
    let served = bed.serve(&daemon.arguments().each_ref().map(String::as_str))?;
    let mut machine = bed.machine(&served, place).image(image).start()?;
    insert(&mut machine)?;
    Ok((served, machine))
}

/// Loads the driver.
fn insert(machine: &mut Machine) -> Result<()> {
    run(machine, "insmod /bin/vgpu.ko").map(drop)
}

fn computes(machine: &mut Machine) -> Result<()> {
    let said = machine.guest()?.run_within(CUDA, COMPUTED)?.success()?;
    ensure!(said.contains(RIGHT), "{said}");
    Ok(())
}

/// Starts a program that computes for ever, and waits until it does.
fn begin(machine: &mut Machine, daemon: &Daemon) -> Result<()> {
    let command = format!(
        "rm -f /cuda.*; (({CUDA} 0 & echo $! >/cuda.pid; wait $!) >/cuda.out 2>&1; echo $? >/cuda.new; mv /cuda.new /cuda.rc) >/dev/null 2>&1 &"
    );
    run(machine, &command)?;
    within(COMPUTED, || Ok(daemon.workers()?.len() == 1)).context("no worker")
}

/// Waits until it has ended by an error, and gives what it said.
fn ended(machine: &mut Machine) -> Result<String> {
    let tries = LIMIT.as_millis() / 100;
    let wait = format!("for i in $(seq {tries}); do [ -e /cuda.rc ] && break; sleep 0.1; done");
    let said = run(machine, &format!("{wait}; cat /cuda.out; cat /cuda.rc"))?;
    let code = said.lines().last().and_then(|it| it.parse::<u8>().ok());
    let code = code.with_context(|| format!("the program goes on: {said}"))?;
    ensure!(code != 0, "{said}");
    Ok(said)
}

fn no_worker(daemon: &Daemon) -> Result<()> {
    within(LIMIT, || Ok(daemon.workers()?.is_empty())).context("a worker is left")
}

/// The driver's messages that are of an error.
fn kernel_is_content(machine: &mut Machine) -> Result<()> {
    let said = run(machine, "dmesg")?;
    for bad in ["BUG:", "WARNING:", "Oops", "does not give", "no answer"] {
        ensure!(!said.contains(bad), "{said}");
    }
    Ok(())
}
