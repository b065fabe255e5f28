//! What a Linux guest finds under stock QEMU.

use anyhow::Result;
use vgpu_bed::machine::Machine;
use vgpu_device::Register;

use crate::bed::{Bed, Served, identity};
use crate::common::{Place, conforms, lists_as_golden, run};

/// Linux resets the function by FLR, and restores what it had set there.
fn function_level_reset(served: &Served, machine: &mut Machine, place: Place) -> Result<()> {
    let sysfs = format!("/sys/bus/pci/devices/{}", place.address());
    served.control()?.set_status(0, 0x5555)?;
    run(machine, &format!("echo flr >{sysfs}/reset_method"))?;
    run(machine, &format!("echo 1 >{sysfs}/reset"))?;
    assert_eq!(served.registers()?.get(Register::Status), Some(0));
    Ok(())
}

fn a_guest_finds_the_device(place: Place) -> Result<()> {
    let bed = Bed::new()?;
    let mut served = bed.serve(&[])?;
    let mut machine = bed.boot(&served, place)?;
    // As QEMU's own device, but for the link that QEMU makes up behind a port.
    let golden = match place {
        // And but for the capability that it takes out of the list.
        Place::RootPort | Place::Q35Bridge => format!("lspci-{place}-vfio-user"),
        _ => format!("lspci-{place}"),
    };
    lists_as_golden(&mut machine, &golden)?;
    let sysfs = format!("/sys/bus/pci/devices/{}", place.address());
    let size = run(&mut machine, &format!("stat -c %s {sysfs}/config"))?;
    let express = matches!(place, Place::Q35 | Place::RootPort);
    assert_eq!(size.trim(), if express { "4096" } else { "256" });
    run(&mut machine, "vgpu-stub check")?;
    // The check itself keeps to the rules.
    let counters = served.counters()?;
    assert_eq!((counters.refused_reads, counters.refused_writes), (0, 0));
    conforms(&mut machine, place, &identity(place))?;
    run(&mut machine, "vgpu-stub check")?;
    if place.identity().port_type.is_some() {
        function_level_reset(&served, &mut machine, place)?;
    }
    run(&mut machine, "vgpu-stub check")?;
    machine.power_off()?;
    served.server.stop()
}

#[test]
fn a_guest_finds_the_device_on_pc() -> Result<()> {
    a_guest_finds_the_device(Place::Pc)
}

#[test]
fn a_guest_finds_the_device_on_q35() -> Result<()> {
    a_guest_finds_the_device(Place::Q35)
}

#[test]
fn a_guest_finds_the_device_behind_a_root_port() -> Result<()> {
    a_guest_finds_the_device(Place::RootPort)
}

#[test]
fn a_guest_finds_the_device_below_a_bridge_of_pc() -> Result<()> {
    a_guest_finds_the_device(Place::PcBridge)
}

#[test]
fn a_guest_finds_the_device_below_a_bridge_of_q35() -> Result<()> {
    a_guest_finds_the_device(Place::Q35Bridge)
}
