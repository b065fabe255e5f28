//! The server's device goes away while another processor is in the middle of an access to it.

use anyhow::Result;
use vgpu_bed::server::qemu_device;

use crate::bed::Bed;
use crate::common::{Place, UnderLoad, under_load, with_timers};

fn goes_away(place: Place, acts: &[UnderLoad]) -> Result<()> {
    let bed = Bed::new()?;
    let mut served = bed.serve(&[])?;
    let device = qemu_device(served.server.socket(), &[("id", "vgpu".into())]);
    let device = serde_json::from_str(&device)?;
    let mut machine = bed
        .machine(&served, place)
        .arguments(["-smp", "2"])
        .tcg("thread=multi")
        .image(&bed.image()?)
        .start()?;
    under_load(&mut machine, place, &device, acts)?;
    machine.power_off()?;
    served.server.stop()
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
