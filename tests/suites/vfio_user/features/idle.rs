//! A session that does nothing wakes nobody, in the guest or on the host.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use vgpu_bed::daemon::within;
use vgpu_bed::idle::watch;

use super::driver::{COMPUTED, CPU, RIGHT, start};
use crate::bed::Bed;
use crate::common::features::daemon_with;
use crate::common::{CUDA, Place, run};

/// How long all of it may take to come to rest.
const SETTLE: Duration = Duration::from_secs(1);

/// How long it is watched.
const WATCHED: Duration = Duration::from_secs(10);

#[test]
fn a_session_that_does_nothing_wakes_nobody() -> Result<()> {
    let (bed, daemon) = (Bed::new()?, daemon_with(CPU)?);
    let (served, mut machine) = start(&bed, &daemon, Place::Q35)?;
    // It has computed, and keeps its session.
    let program = format!("({CUDA} 1 stays >/cuda.out 2>&1 & echo $! >/cuda.pid)");
    run(&mut machine, &program)?;
    within(COMPUTED, || {
        Ok(run(&mut machine, "cat /cuda.out")?.contains(RIGHT))
    })?;
    let program = run(&mut machine, "cat /cuda.pid")?;
    let program = program.trim().parse().context("no process")?;
    let workers = daemon.workers()?;
    ensure!(workers.len() == 1, "{workers:?}");
    let processes = [
        ("worker", workers[0]),
        ("vgpud", daemon.pid()),
        ("server", served.server.pid()),
        ("guard", served.server.guard()?),
    ];
    thread::sleep(SETTLE);
    let woken = watch(&mut machine, program, &processes, WATCHED)?;
    println!("{woken:?}");
    // They were not at rest all the time, or nothing is counted at all.
    ensure!(woken.begun.values().all(|times| *times > 0), "{woken:?}");
    ensure!(woken.times.values().all(|times| *times == 0), "{woken:?}");
    run(&mut machine, &format!("kill -9 {program}"))?;
    within(COMPUTED, || Ok(daemon.workers()?.is_empty())).context("a worker is left")?;
    machine.power_off()
}
