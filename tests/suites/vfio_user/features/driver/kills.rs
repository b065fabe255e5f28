//! The server, QEMU, or all processes of a machine are killed with a CUDA program at work.

use anyhow::{Context, Result, ensure};
use vgpu_bed::daemon::{Daemon, within};
use vgpu_bed::guest::GuestImage;
use vgpu_bed::machine::Machine;

use super::super::kills::{Whole, Work};
use super::{COMPUTED, CPU, LIMIT, begin, computes, ended, insert, kernel_is_content};
use crate::bed::Bed;
use crate::common::CUDA;
use crate::common::features::ends::Streaming;
use crate::common::features::memory::GuestRam;

struct Computes;

impl Work for Computes {
    const ENGINE: &'static str = CPU;

    fn image(bed: &Bed) -> Result<GuestImage> {
        bed.image_with_driver()
    }

    fn prepare(machine: &mut Machine) -> Result<()> {
        insert(machine)
    }

    fn begin(machine: &mut Machine, daemon: &Daemon) -> Result<Streaming> {
        begin(machine, daemon)?;
        let worker = *daemon.workers()?.first().context("no worker")?;
        let ram = GuestRam::of(machine)?;
        within(LIMIT, || Ok(ram.ensure_mapped_by(worker).is_ok()))?;
        Ok(Streaming { worker, ram })
    }

    fn fails(machine: &mut Machine) -> Result<()> {
        ended(machine)?;
        // Nor does another one wait for ever.
        let said = machine.guest()?.run_within(CUDA, COMPUTED)?;
        ensure!(said.status != 0, "{}", said.stdout);
        kernel_is_content(machine)
    }
}

#[test]
fn of_whom_the_machine_needs() -> Result<()> {
    let bed = Bed::new()?;
    let mut whole = Whole::start::<Computes>(&bed)?;
    whole.lose_all::<Computes>(&bed)?;
    computes(&mut whole.machine)?;
    kernel_is_content(&mut whole.machine)?;
    whole.end()
}
