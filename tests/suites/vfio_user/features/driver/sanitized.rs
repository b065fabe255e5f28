//! The guest's driver on a Linux that checks itself: `tests/bed/guest/sanitized.config`.

use std::time::Duration;

use anyhow::{Result, ensure};
use vgpu_bed::machine::Machine;
use vgpu_bed::soak;

use super::ends::{all_end, returns};
use super::programs::two_compute_at_once;
use super::registered::registers;
use super::{CPU, begin, computes, insert, no_worker};
use crate::bed::Bed;
use crate::common::features::daemon_with;
use crate::common::{Place, run};

/// What Linux writes where it has found something.
const FOUND: [&str; 7] = [
    "BUG:",
    "WARNING:",
    "KASAN",
    "possible circular locking",
    "suspicious RCU",
    "INFO: ",
    "suspected memory leaks",
];

/// Some of it stops after a report, or where it has no room left. All must be at work still.
const AT_WORK: [&str; 3] = [
    "dmesg | grep -q 'KernelAddressSanitizer initialized'",
    "grep -q 'debug_locks: *1$' /proc/lockdep_stats",
    "grep -q N /sys/kernel/debug/dma-api/disabled",
];

/// Memory counts as lost from 5 s on, and once two looks have not found who has it: one may have missed it on its way.
const SCAN: &str = "for i in 1 2; do sleep 6; echo scan; done >/sys/kernel/debug/kmemleak";

/// How long that may take: all memory is looked through, on an emulated processor that checks each access.
const SCANNED: Duration = Duration::from_secs(600);

fn nothing_leaks(machine: &mut Machine) -> Result<()> {
    machine.guest()?.run_within(SCAN, SCANNED)?.success()?;
    let lost = run(machine, "cat /sys/kernel/debug/kmemleak")?;
    ensure!(lost.is_empty(), "{lost}");
    Ok(())
}

fn nothing_is_found(said: &str) -> Result<()> {
    let found = FOUND.iter().any(|word| said.contains(word));
    ensure!(!found, "{said}");
    Ok(())
}

#[test]
#[ignore = "builds a kernel: cargo xtask soak driver-sanitized"]
fn on_a_kernel_that_checks_itself() -> Result<()> {
    let (bed, mut daemon) = (Bed::new()?, daemon_with(CPU)?);
    let place = Place::Q35;
    let served = bed.serve(&daemon.arguments().each_ref().map(String::as_str))?;
    let mut machine = bed
        .machine(&served, place)
        .image(&bed.image_with_driver_sanitized()?)
        .memory_mib(768)
        .arguments(["-smp", "2"])
        .kernel_arguments("loglevel=5")
        .start()?;
    let machine = &mut machine;
    run(machine, "mount -t debugfs debugfs /sys/kernel/debug")?;
    for _ in 0..soak::times() {
        insert(machine)?;
        computes(machine)?;
        two_compute_at_once(machine)?;
        registers(machine, 400)?.success()?;
        no_worker(&daemon)?;
        all_end(machine, &mut daemon, place)?;
        // The driver comes while nobody serves its device.
        daemon.kill()?;
        run(machine, "rmmod vgpu")?;
        insert(machine)?;
        returns(machine, &mut daemon)?;
        // With the driver there is a name to each address of a report.
        nothing_leaks(machine)?;
        run(machine, "rmmod vgpu")?;
        nothing_leaks(machine)?;
        nothing_is_found(&run(machine, "dmesg")?)?;
    }
    for command in AT_WORK {
        run(machine, command)?;
    }
    // What is found from here on, the console alone shows.
    insert(machine)?;
    begin(machine, &daemon)?;
    machine.power_off()?;
    no_worker(&daemon)?;
    nothing_is_found(&machine.console())
}
