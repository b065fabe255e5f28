//! The device in QEMU goes away while another processor is in the middle of an access to it.
//!
//! Each processor has a thread of QEMU's, as under KVM, so an access may wait for QEMU's lock until the device is gone.

use anyhow::Result;

use crate::bed::{Bed, device};
use crate::common::{Place, UnderLoad, under_load, with_timers};

fn goes_away(place: Place, acts: &[UnderLoad]) -> Result<()> {
    let bed = Bed::new()?;
    let mut machine = bed
        .with_device(place, "")
        .arguments(["-smp", "2"])
        .tcg("thread=multi")
        .image(&bed.image()?)
        .start()?;
    under_load(&mut machine, place, &device(), acts)?;
    machine.power_off()
}

#[test]
fn of_pc() -> Result<()> {
    use UnderLoad::{Eject, Reset, Unplug};
    with_timers(|| goes_away(Place::Pc, &[Eject, Unplug, Reset]))
}

#[test]
fn from_a_root_port() -> Result<()> {
    use UnderLoad::{Reset, Unplug};
    with_timers(|| goes_away(Place::RootPort, &[Unplug, Reset]))
}
