//! A hostile guest against the device in QEMU itself.

use anyhow::Result;

use crate::bed::{Bed, property};
use crate::common::{ATTACKED, Place, attack};

fn withstands(place: Place, processors: u8) -> Result<()> {
    let bed = Bed::new()?;
    let mut machine = bed
        .with_device(place, "")
        .device("pci-testdev,addr=6")
        .arguments(["-smp", &processors.to_string()])
        .tcg(ATTACKED)
        .shared_memory()
        .image(&bed.image()?)
        .start()?;
    attack(&mut machine, place)?;
    for counter in ["refused-reads", "refused-writes"] {
        assert_ne!(property(&mut machine, counter)?, 0, "{counter}");
    }
    machine.power_off()
}

#[test]
fn of_one_processor_on_pc() -> Result<()> {
    withstands(Place::Pc, 1)
}

#[test]
fn of_two_processors_on_q35() -> Result<()> {
    withstands(Place::Q35, 2)
}

#[test]
fn of_two_processors_behind_a_root_port() -> Result<()> {
    withstands(Place::RootPort, 2)
}
