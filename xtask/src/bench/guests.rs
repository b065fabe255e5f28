//! Guests that have two or more devices, and compare them.

use std::time::Duration;

use anyhow::{Context, Result};
use vgpu_bed::guest::GuestProgram;
use vgpu_bed::machine::MachineBuilder;
use vgpu_bed::steps::{Step, Steps};
use vgpu_bed::{cache::Cache, guest::GuestImage, static_program};
use vgpu_bench::{Access, Comparison};
use vgpu_terminal::OrMend;

use crate::checkout;

/// How long the program in the guest may take. It takes seconds, and much longer on a busy machine.
const LIMIT: Duration = Duration::from_secs(5 * 60);

/// The slots of the devices; the image of the guest has slots 5 to 7 free on every machine.
const SLOTS: [u8; 3] = [5, 6, 7];

/// The guest with the program that measures.
pub(super) fn image(cache: &Cache, steps: &Steps) -> Result<GuestImage> {
    let program = static_program::build(checkout(), "vgpu-bench", "bar0-cost", steps)?;
    let programs = [GuestProgram {
        name: "bar0-cost",
        file: &program,
    }];
    GuestImage::assemble(cache, &programs, steps)
}

/// Calls `measure` with a number for each guest.
pub(super) fn sample<T>(
    boots: u32,
    steps: &Steps,
    mut measure: impl FnMut(u32, &Step) -> Result<T>,
) -> Result<Vec<T>> {
    Ok(steps
        .step("Measure in guests", |step| {
            (1..=boots)
                .map(|boot| {
                    step.say(&format!("[{boot}/{boots}] guest"));
                    measure(boot, step)
                })
                .collect()
        })
        .or_mend("See what QEMU and the guest say above; on a busy machine, try again later.")?)
}

/// Compares the first of two or three devices with each other one, in a guest. Each writes itself, for QEMU's option
/// `-device`, with the slot that it is given. With each boot they change places.
pub(super) fn compare(
    machine: MachineBuilder,
    devices: &[&dyn Fn(u8) -> String],
    access: Access,
    boot: u32,
    step: &Step,
) -> Result<Vec<Comparison>> {
    let mut slots = SLOTS[..devices.len()].to_vec();
    slots.rotate_left(boot as usize % devices.len());
    let mut placed: Vec<_> = slots.iter().zip(devices).collect();
    placed.sort_by_key(|(slot, _)| **slot);
    let machine = placed.into_iter().fold(machine, |machine, (slot, device)| {
        machine.device(&device(*slot))
    });
    let mut machine = machine.start()?;
    let (ours, peers) = slots.split_first().context("no device")?;
    let comparisons = peers
        .iter()
        .map(|peer| {
            let command = command([*ours, *peer], access, 0);
            let printed = machine.guest()?.run_within(&command, LIMIT)?.success()?;
            parse(&printed, step)
        })
        .collect();
    machine.power_off()?;
    comparisons
}

/// What measures in a guest.
pub(super) fn command([ours, peer]: [u8; 2], access: Access, offset: u32) -> String {
    format!(
        "bar0-cost 0000:00:{ours:02x}.0 0000:00:{peer:02x}.0 --access {access} --offset {offset:#x}"
    )
}

/// What it printed.
pub(super) fn parse(printed: &str, step: &Step) -> Result<Comparison> {
    let comparison: Comparison =
        serde_json::from_str(printed).context("bar0-cost printed something else")?;
    step.say(&format!("ratio {:.3}", comparison.ratio.value));
    Ok(comparison)
}
