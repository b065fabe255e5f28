//! What an operator sees and sets: help, properties and their limits, the
//! host's side, counters, traces.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::json;
use vgpu_bed::machine::MachineType;
use vgpu_conformance::Target;

use crate::bed::{Bed, property, set_property};
use crate::common::{Place, QtestTarget};

/// What QEMU prints for these arguments.
fn qemu(bed: &Bed, arguments: &[&str]) -> Result<String> {
    let output = Command::new(&bed.qemu).args(arguments).output()?;
    Ok(String::from_utf8(output.stdout)? + &String::from_utf8(output.stderr)?)
}

#[test]
fn help_lists_the_device() -> Result<()> {
    let bed = Bed::new()?;
    let devices = qemu(&bed, &["-device", "help"])?;
    let (_, misc) = devices
        .split_once("Misc devices:")
        .context("no category misc")?;
    let (misc, _) = misc.split_once("\n\n").unwrap_or((misc, ""));
    assert!(
        misc.contains(
            "name \"vgpu-stub\", bus PCI, desc \"Virtual GPU stub (processing accelerator)\""
        ),
        "{misc}"
    );
    let properties = qemu(&bed, &["-device", "vgpu-stub,help"])?;
    for property in [
        "vendor-id=<uint16>",
        "device-id=<uint16>",
        "subsystem-vendor-id=<uint16>",
        "subsystem-id=<uint16>",
        "revision=<uint8>",
        "bar0-size=<size>",
        "features=<bool>",
        "link=<str>",
        "machine=<str>",
        "status=<uint32>",
        "refused-reads=<uint64>",
        "refused-writes=<uint64>",
    ] {
        assert!(
            properties.contains(property),
            "{property} is not in {properties}"
        );
    }
    Ok(())
}

#[test]
fn values_out_of_range_are_refused_with_the_reason() -> Result<()> {
    let bed = Bed::new()?;
    let absent = "means \"no device here\"";
    for (property, reason) in [
        ("vendor-id=0", absent),
        ("vendor-id=0xffff", absent),
        ("device-id=0", absent),
        ("device-id=0xffff", absent),
        ("subsystem-vendor-id=0", absent),
        ("subsystem-vendor-id=0xffff", absent),
        ("subsystem-id=0", absent),
        ("subsystem-id=0xffff", absent),
        (
            "bar0-size=0",
            "power of two from 4096 (4K) to 16777216 (16M)",
        ),
        (
            "bar0-size=2K",
            "power of two from 4096 (4K) to 16777216 (16M)",
        ),
        (
            "bar0-size=12K",
            "power of two from 4096 (4K) to 16777216 (16M)",
        ),
        (
            "bar0-size=32M",
            "power of two from 4096 (4K) to 16777216 (16M)",
        ),
        (
            "bar0-size=8G",
            "power of two from 4096 (4K) to 16777216 (16M)",
        ),
        ("link=/run/link", "for a device without features"),
        (
            "features=on,link=/run/link",
            "'link' needs the property 'machine'",
        ),
        (
            "features=on,machine=7",
            "'machine' needs the property 'link'",
        ),
        ("features=on,link=/run/link,machine=7", "'7' is no UUID"),
        ("romfile=/etc/hostname", "has no expansion ROM"),
        ("multifunction=on", "has a single function"),
        ("vendor-id=0x10000", "vendor-id"),
        ("revision=256", "revision"),
        ("status=1", "does not run yet"),
    ] {
        let error = bed
            .machine(MachineType::Pc)
            .device(&format!("vgpu-stub,{property}"))
            .qtest()
            .start()
            .err()
            .with_context(|| format!("{property} was taken"))?;
        let text = format!("{error:#}");
        assert!(text.contains(reason), "{property}: {text}");
        let (name, _) = property.split_once('=').unwrap_or_default();
        assert!(text.contains(name), "{property}: {text}");
    }
    Ok(())
}

/// A device that is refused while the machine runs leaves nothing behind.
#[test]
fn a_refused_hotplug_leaves_the_machine_as_it_was() -> Result<()> {
    let mut machine = Bed::new()?.machine(MachineType::Pc).start()?;
    for _ in 0..3 {
        let device = json!({ "driver": "vgpu-stub", "id": "vgpu", "vendor-id": 0xffff });
        let error = machine.qmp().execute("device_add", device).unwrap_err();
        assert!(
            format!("{error:#}").contains("property 'vendor-id'"),
            "{error:#}"
        );
    }
    machine
        .qmp()
        .execute("device_add", json!({ "driver": "vgpu-stub", "id": "vgpu" }))?;
    assert_eq!(property(&mut machine, "status")?, 0);
    Ok(())
}

#[test]
fn the_host_reads_registers_and_sets_status() -> Result<()> {
    let machine = Bed::new()?.with_device(Place::Pc, "").qtest().start()?;
    let mut target = QtestTarget::new(machine, Place::Pc)?;
    for (offset, name) in [
        (0x00, "command"),
        (0x08, "data-offset"),
        (0x0c, "data-length"),
        (0x10, "request-id"),
    ] {
        target.bar0_write(offset, 4, 0x1000 + offset)?;
        assert_eq!(property(&mut target.machine, name)?, 0x1000 + offset);
        let error = set_property(&mut target.machine, name, 1).unwrap_err();
        assert!(format!("{error:#}").contains("not writable"), "{error:#}");
    }
    set_property(&mut target.machine, "status", 0xffff_fffeu32)?;
    assert_eq!(target.bar0_read(0x04, 4)?, 0xffff_fffe);
    assert!(set_property(&mut target.machine, "status", 1u64 << 32).is_err());
    assert_eq!(property(&mut target.machine, "status")?, 0xffff_fffe);
    Ok(())
}

/// Unaligned and odd accesses reach the model, which refuses and counts them;
/// QEMU logs them where it is asked to.
#[test]
fn refused_accesses_are_counted_and_logged() -> Result<()> {
    let machine = Bed::new()?
        .with_device(Place::Pc, "")
        .arguments(["-d", "guest_errors", "-trace", "vgpu_stub_*"])
        .qtest()
        .start()?;
    let mut target = QtestTarget::new(machine, Place::Pc)?;
    assert_eq!(target.bar0_read(0x02, 4)?, 0);
    assert_eq!(target.bar0_read(0x00, 2)?, 0);
    target.bar0_write(0x21, 2, 0xffff)?;
    target.bar0_write(0x400, 4, 0xffff)?;
    target.bar0_write(0x20, 8, 7)?;
    assert_eq!(target.bar0_read(0x20, 8)?, 7);
    assert_eq!(property(&mut target.machine, "refused-reads")?, 2);
    assert_eq!(property(&mut target.machine, "refused-writes")?, 2);
    target.config_write(0x48, 2, 0x8000)?;
    assert_eq!(property(&mut target.machine, "refused-reads")?, 2);

    let log = fs::read_to_string(target.machine.folder().join("qemu-stderr.log"))?;
    for line in [
        "vgpu-stub: refused read of 4 bytes at BAR0 + 0x2",
        "vgpu-stub: refused write of 4 bytes at BAR0 + 0x400",
        "vgpu_stub_config_write addr 0x010 size 4 value 0xfe400000",
        "vgpu_stub_config_read addr 0x010 size 4 value 0xfe400000",
        "vgpu_stub_bar0_write offset 0x20 size 8 value 0x7",
        "vgpu_stub_bar0_read offset 0x20 size 8 value 0x7",
        "vgpu_stub_reset",
    ] {
        assert!(log.contains(line), "no {line:?} in:\n{log}");
    }
    Ok(())
}
