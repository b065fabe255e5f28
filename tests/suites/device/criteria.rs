//! What a Linux guest finds: `lspci`, sysfs, the seven criteria, conformance.

use anyhow::Result;
use vgpu_bed::machine::Machine;

use crate::bed::{Bed, property, set_property};
use crate::common::{Place, conforms, lists_as_golden, run};

/// What Linux prints about the device at `place`.
fn golden(machine: &mut Machine, place: Place) -> Result<()> {
    lists_as_golden(machine, &format!("lspci-{place}"))?;
    let sysfs = format!("/sys/bus/pci/devices/{}", place.address());
    let size = run(machine, &format!("stat -c %s {sysfs}/config"))?;
    let express = matches!(place, Place::Q35 | Place::RootPort);
    assert_eq!(size.trim(), if express { "4096" } else { "256" });
    if place == Place::RootPort {
        // QEMU's port takes over the link of the device that it finds there.
        let port = run(machine, "lspci -s 00:04.0 -vv | grep LnkSta:")?;
        assert!(
            port.contains("2.5GT/s") && port.contains("Width x1"),
            "{port}"
        );
    }
    // Above the first 256 bytes there is no extended capability.
    let rest = format!("tail -c +257 {sysfs}/config | od -An -v -t u1 -w1 | sort -u");
    let dump = run(machine, &rest)?;
    assert_eq!(dump.trim(), if express { "0" } else { "" });
    Ok(())
}

/// Linux resets the function by FLR, and restores what it had set there.
fn function_level_reset(machine: &mut Machine, place: Place) -> Result<()> {
    let sysfs = format!("/sys/bus/pci/devices/{}", place.address());
    set_property(machine, "status", 0x5555u32)?;
    run(machine, &format!("echo flr >{sysfs}/reset_method"))?;
    run(machine, &format!("echo 1 >{sysfs}/reset"))?;
    assert_eq!(property(machine, "status")?, 0);
    Ok(())
}

/// One boot: what Linux prints, the criteria before and after each thing that
/// could upset the device.
fn a_guest_finds_the_device(place: Place) -> Result<()> {
    let mut machine = Bed::new()?.boot(place, "")?;
    golden(&mut machine, place)?;
    run(&mut machine, "vgpu-stub check")?;
    // The check itself keeps to the rules.
    assert_eq!(property(&mut machine, "refused-reads")?, 0);
    assert_eq!(property(&mut machine, "refused-writes")?, 0);
    conforms(&mut machine, place, &place.identity())?;
    run(&mut machine, "vgpu-stub check")?;
    if place.identity().port_type.is_some() {
        function_level_reset(&mut machine, place)?;
    }
    run(&mut machine, "vgpu-stub check")?;
    machine.power_off()
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

#[test]
fn the_check_fails_where_a_criterion_does() -> Result<()> {
    let mut machine = Bed::new()?.boot(Place::Pc, ",device-id=0x1112")?;
    let check = machine.guest()?.run("vgpu-stub check")?;
    assert_eq!(check.status, 1, "{}", check.stdout);
    let check = machine.guest()?.run("vgpu-stub check --device-id 1112")?;
    assert_eq!(check.status, 0, "{}", check.stdout);
    machine.power_off()
}

#[test]
fn two_devices_are_told_apart() -> Result<()> {
    let bed = Bed::new()?;
    let mut machine = bed
        .with_device(Place::Pc, "")
        .device("vgpu-stub,id=second,addr=6,bar0-size=64K,revision=2,subsystem-id=0x2222")
        .image(&bed.image()?)
        .start()?;
    let listed = run(&mut machine, "lspci -n -d 1af4:1111")?;
    assert_eq!(
        listed,
        "00:05.0 1200: 1af4:1111 (rev 01)\n00:06.0 1200: 1af4:1111 (rev 02)\n"
    );
    let second = run(&mut machine, "lspci -nv -s 6")?;
    assert!(second.contains("Subsystem: 1af4:2222"), "{second}");
    assert!(second.contains("[size=64K]"), "{second}");
    run(&mut machine, "vgpu-stub check")?;
    machine.power_off()
}
