//! What a Linux guest finds: `lspci`, sysfs, the seven criteria.

use anyhow::Result;
use vgpu_testbed::machine::Machine;

use crate::bed::{Bed, Place, property};

fn run(machine: &mut Machine, command: &str) -> Result<String> {
    machine.guest()?.run(command)?.success()
}

/// The address that firmware or Linux chose is not ours to fix.
fn without_addresses(lspci: &str) -> String {
    let mut text = String::new();
    for line in lspci.lines() {
        let line = match line.split_once(" at ") {
            Some((before, after)) if line.contains("Region 0") => {
                let (_, kind) = after.split_once(' ').unwrap_or(("", after));
                format!("{before} at ADDRESS {kind}")
            }
            _ => line.to_owned(),
        };
        // The BAR in the dump's second line.
        let line = match line.strip_prefix("10: ") {
            Some(bytes) => format!("10: AA AA AA AA{}", bytes.get(11..).unwrap_or_default()),
            None => line,
        };
        text += line.trim_end();
        text.push('\n');
    }
    text
}

fn golden(place: Place) -> Result<()> {
    let mut machine = Bed::new()?.boot(place, "")?;
    let lspci = run(&mut machine, "lspci -d 1af4:1111 -nnvvvxxx")?;
    insta::with_settings!({ snapshot_path => "../golden", prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!(format!("lspci-{place}"), without_addresses(&lspci));
    });
    let sysfs = format!("/sys/bus/pci/devices/{}", place.address());
    let size = run(&mut machine, &format!("stat -c %s {sysfs}/config"))?;
    let express = place != Place::Pc;
    assert_eq!(size.trim(), if express { "4096" } else { "256" });
    // Above the first 256 bytes there is no extended capability.
    let rest = format!("tail -c +257 {sysfs}/config | od -An -v -t u1 -w1 | sort -u");
    let dump = run(&mut machine, &rest)?;
    assert_eq!(dump.trim(), if express { "0" } else { "" });
    machine.power_off()
}

#[test]
fn lspci_on_pc_is_the_golden_one() -> Result<()> {
    golden(Place::Pc)
}

#[test]
fn lspci_on_q35_is_the_golden_one() -> Result<()> {
    golden(Place::Q35)
}

#[test]
fn lspci_behind_a_root_port_is_the_golden_one() -> Result<()> {
    golden(Place::RootPort)
}

/// The seven criteria, a function level reset by sysfs, and the criteria again.
fn criteria(place: Place) -> Result<()> {
    let mut machine = Bed::new()?.boot(place, "")?;
    run(&mut machine, "vgpu-stub check")?;

    let address = place.address();
    let sysfs = format!("/sys/bus/pci/devices/{address}");
    let request_id = format!("setpci -s {address} 0x48.w");
    run(&mut machine, &format!("setpci -s {address} 0x48.w=0x000f"))?;
    assert_eq!(run(&mut machine, &request_id)?.trim(), "000f");
    let methods = run(&mut machine, &format!("cat {sysfs}/reset_method"))?;
    assert!(methods.split_whitespace().any(|m| m == "flr"), "{methods}");
    run(
        &mut machine,
        &format!("echo flr >{sysfs}/reset_method && echo 1 >{sysfs}/reset"),
    )?;
    // Linux restores what it saved before the reset; Device Control with it.
    run(&mut machine, "vgpu-stub check")?;
    assert_eq!(property(&mut machine, "refused-reads")?, 0);
    assert_eq!(property(&mut machine, "refused-writes")?, 0);
    machine.power_off()
}

#[test]
fn the_criteria_hold_on_pc() -> Result<()> {
    criteria(Place::Pc)
}

#[test]
fn the_criteria_hold_on_q35() -> Result<()> {
    criteria(Place::Q35)
}

#[test]
fn the_criteria_hold_behind_a_root_port() -> Result<()> {
    criteria(Place::RootPort)
}

#[test]
fn the_check_fails_where_a_criterion_does() -> Result<()> {
    let mut machine = Bed::new()?.boot(Place::Pc, ",device-id=0x1112")?;
    let check = machine.guest()?.run("vgpu-stub check")?;
    assert_eq!(check.status, 1, "{}", check.stdout);
    let check = machine.guest()?.run("vgpu-stub check --device-id 1112")?;
    assert_eq!(check.status, 0, "{}", check.stdout);
    // A command that shuts the device off while it is looked at.
    run(
        &mut machine,
        "vgpu-stub check --device-id 1112 --read-only --json",
    )?;
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
