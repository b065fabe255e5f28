//! Many programs of a guest at once, each of which knows its own bytes: none meets another's.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use vgpu_bed::daemon::within;
use vgpu_bed::machine::Machine;
use vgpu_bed::soak;

use super::{CPU, insert, kernel_is_content, no_worker};
use crate::bed::Bed;
use crate::common::features::daemon_with;
use crate::common::{Place, run};

/// How many programs there are, and how many calls each makes; in a soak that many times as many of both, but no more programs
/// than a machine may have sessions. 50 times that is 100,000 calls of each of 64.
const PROGRAMS: u32 = 16;
const SESSIONS: u32 = 64;
const CALLS: u32 = 2000;

/// The guest's memory: each program has 4 MiB of it for its session, and more for itself.
const MEMORY_MIB: u32 = 1024;

/// How long it may take until all sessions are open, and until all calls of a test that is no soak are made.
const OPENED: Duration = Duration::from_secs(200);
const CALLED: Duration = Duration::from_secs(200);

/// How the guest starts one.
const CANARIES: &str = "ld-linux-x86-64.so.2 --library-path /bin /bin/cuda-canaries";

/// Waits until all have ended, and sees that none has failed.
fn all_end(machine: &mut Machine, programs: u32, limit: Duration) -> Result<()> {
    let since = Instant::now();
    loop {
        thread::sleep(Duration::from_secs(1));
        // What fails is told at once, not when the others have ended.
        let ended = run(machine, "cat /canaries.*.rc 2>/dev/null; true")?;
        let failed = ended.lines().any(|code| code != "0");
        let all = ended.lines().count() == programs as usize;
        let late = since.elapsed() > limit;
        if failed || late {
            let said = run(machine, "tail -n 5 /canaries.* /run/said")?;
            ensure!(!failed, "a program has failed:\n{said}");
            ensure!(all, "not all have ended in {limit:?}:\n{said}");
        }
        if all {
            return Ok(());
        }
    }
}

#[test]
fn none_meets_the_bytes_of_another() -> Result<()> {
    let times = soak::times();
    let (programs, calls) = ((PROGRAMS * times).min(SESSIONS), CALLS * times);
    let (bed, daemon) = (Bed::new()?, daemon_with(CPU)?);
    let served = bed.serve(&daemon.arguments().each_ref().map(String::as_str))?;
    let machine = bed.machine(&served, Place::Q35).memory_mib(MEMORY_MIB);
    // This kernel zeroes what it gives to anybody, and would hide that the driver forgets to.
    let machine = machine.kernel_arguments("init_on_alloc=0");
    let mut machine = machine.image(&bed.image_with_driver()?).start()?;
    insert(&mut machine)?;
    let start = format!(
        "for n in $(seq {programs}); do ({CANARIES} $n {calls} /go >/canaries.$n 2>&1; echo $? >/canaries.$n.new; mv /canaries.$n.new /canaries.$n.rc) >/run/said 2>&1 & done"
    );
    run(&mut machine, &start)?;
    let ready = "cat /canaries.* | grep -c ready; true";
    within(OPENED, || {
        thread::sleep(Duration::from_millis(200));
        Ok(run(&mut machine, ready)?.trim() == programs.to_string())
    })
    .context("not all sessions are open")?;
    let workers = daemon.workers()?.len();
    ensure!(workers == programs as usize, "{workers} workers");
    let since = Instant::now();
    run(&mut machine, "touch /go")?;
    all_end(&mut machine, programs, CALLED * times)?;
    let took = since.elapsed().as_secs_f64();
    let said = run(&mut machine, "cat /canaries.*")?;
    let mut made = 0;
    for number in 1..=programs {
        let right = format!(" calls of {number} are right");
        let own = said.lines().find_map(|line| line.strip_suffix(&right));
        let own: u32 = own
            .with_context(|| format!("{number} is missing: {said}"))?
            .parse()?;
        ensure!(own >= calls, "{number} made {own} calls");
        made += u64::from(own);
    }
    println!("{programs} programs made {made} calls in {took:.1} s");
    no_worker(&daemon)?;
    kernel_is_content(&mut machine)?;
    machine.power_off()
}
