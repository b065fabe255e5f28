//! In QEMU itself, against devices of QEMU's own.

use anyhow::Result;
use vgpu_bed::cache::Cache;
use vgpu_bed::debian::Suite;
use vgpu_bed::firmware::Firmware;
use vgpu_bed::machine::{MachineBuilder, MachineType};
use vgpu_bed::static_program;
use vgpu_bed::steps::Steps;
use vgpu_bench::Comparison;

use super::conditions::Conditions;
use super::report::{Report, tell};
use super::{Comparing, guests};
use crate::checkout;
use crate::qemu::{self, Source, Variant};

/// The release of Debian whose QEMU it is.
const SUITE: &str = "trixie";

/// Devices of QEMU's own, and the most that an access to vgpu-stub may cost in accesses to them. A read of
/// pci-testdev's 4 bytes is 4 calls of a byte, so it is no measure.
const PEERS: [(&str, Option<f64>); 2] = [("edu", Some(1.05)), ("pci-testdev", None)];

pub(super) fn run(options: &Comparing, steps: &Steps) -> Result<()> {
    let cache = Cache::open()?;
    let qemu = qemu::build(
        &cache,
        &Source::Suite(Suite::debian(SUITE)),
        Variant::Plain,
        steps,
    )?;
    let ours = static_program::build(checkout(), "vgpu-stub", "vgpu-stub", steps)?;
    let image = guests::image(&cache, steps)?;
    let conditions = Conditions::new(&ours, &[("QEMU", &qemu.release)])?;
    let firmware = Firmware::seabios(&cache, steps)?;
    let machine = MachineBuilder::new(&qemu.path, MachineType::Q35, &firmware).image(&image);
    let device = |name: &'static str| move |slot: u8| format!("{name},addr={slot}");
    let boots = guests::sample(options.boots, steps, |boot, step| {
        guests::compare(
            machine.clone(),
            &[
                &device("vgpu-stub"),
                &device(PEERS[0].0),
                &device(PEERS[1].0),
            ],
            options.access,
            boot,
            step,
        )
    })?;
    let reports = PEERS
        .iter()
        .enumerate()
        .map(|(at, (peer, bound))| {
            let boots: Vec<Comparison> = boots.iter().map(|boot| boot[at].clone()).collect();
            let peer = format!("QEMU's own {peer}");
            Report::new("qemu", &peer, *bound, &boots, conditions.clone())
        })
        .collect::<Result<Vec<_>>>()?;
    tell(&reports, options.json)
}
