//! Programs that compute, alone and two at once; and what they say where they cannot.

use anyhow::{Result, ensure};
use vgpu_bed::machine::Machine;

use super::{COMPUTED, CPU, RIGHT, computes, kernel_is_content, no_worker, start};
use crate::bed::Bed;
use crate::common::features::daemon_with;
use crate::common::{CUDA, Place, run};

/// Each has a worker of its own.
pub(super) fn two_compute_at_once(machine: &mut Machine) -> Result<()> {
    let both = format!("({CUDA} 20 >/one; echo $? >>/one) & {CUDA} 20 >/two; wait; cat /one /two");
    let said = machine.guest()?.run_within(&both, COMPUTED)?.success()?;
    ensure!(said.matches(RIGHT).count() == 2, "{said}");
    Ok(())
}

#[test]
fn programs_compute_on_the_hosts_engine() -> Result<()> {
    let (bed, daemon) = (Bed::new()?, daemon_with(CPU)?);
    let (_served, mut machine) = start(&bed, &daemon, Place::Q35)?;
    computes(&mut machine)?;
    no_worker(&daemon)?;
    two_compute_at_once(&mut machine)?;
    no_worker(&daemon)?;
    kernel_is_content(&mut machine)?;
    machine.power_off()
}

/// What there is not is said.
#[test]
fn what_is_missing_is_said() -> Result<()> {
    let (bed, mut daemon) = (Bed::new()?, daemon_with("null")?);
    let (_served, mut machine) = start(&bed, &daemon, Place::Q35)?;
    let fails = |machine: &mut Machine| -> Result<String> {
        let said = machine.guest()?.run_within(CUDA, COMPUTED)?;
        ensure!(said.status != 0, "{}", said.stdout);
        Ok(said.stderr)
    };
    daemon.kill()?;
    let said = fails(&mut machine)?;
    ensure!(
        said.contains("host gives no sessions now (STATE 3)"),
        "{said}"
    );
    run(&mut machine, "rmmod vgpu")?;
    let said = fails(&mut machine)?;
    ensure!(
        said.contains("0000:00:05.0 has no driver: load it with `modprobe vgpu`"),
        "{said}"
    );
    machine.power_off()
}
