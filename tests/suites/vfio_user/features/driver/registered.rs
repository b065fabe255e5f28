//! Memory of a program's own, which the driver shares with the host.

use anyhow::{Result, ensure};
use vgpu_bed::channel::Output;
use vgpu_bed::machine::Machine;

use super::{COMPUTED, CPU, computes, kernel_is_content, no_worker, start};
use crate::bed::Bed;
use crate::common::features::daemon_with;
use crate::common::{Place, run};

const CANARIES: &str = "ld-linux-x86-64.so.2 --library-path /bin /bin/cuda-canaries 7";

/// Runs a program that makes so many calls, and registers memory of its own every 64 rounds of 6.
pub(super) fn registers(machine: &mut Machine, calls: u32) -> Result<Output> {
    let command = format!("{CANARIES} {calls}");
    machine.guest()?.run_within(&command, COMPUTED)
}

/// A program knows its bytes again that went to the device and back from memory of its own, which the driver pins while it is
/// registered; and finds out where the driver does not.
#[test]
fn memory_of_a_program_is_shared_while_it_is_registered() -> Result<()> {
    let (bed, daemon) = (Bed::new()?, daemon_with(CPU)?);
    let (_served, mut machine) = start(&bed, &daemon, Place::Q35)?;
    registers(&mut machine, 2000)?.success()?;
    no_worker(&daemon)?;
    run(
        &mut machine,
        "echo 0 >/sys/module/vgpu/parameters/user_regions",
    )?;
    let said = registers(&mut machine, 2000)?;
    ensure!(said.stderr.contains("7: it is copied"), "{}", said.stderr);
    computes(&mut machine)?;
    no_worker(&daemon)?;
    kernel_is_content(&mut machine)?;
    machine.power_off()
}
