//! Other enumerators than Linux: SeaBIOS and OVMF place the BAR, GRUB and the
//! UEFI shell list the device.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use vgpu_bed::firmware::Firmware;
use vgpu_bed::machine::{Machine, MachineBuilder};

use crate::bed::{Bed, query_pci};
use crate::common::Place;

/// Waits until firmware has placed BAR0 and it answers there: the host's word
/// in Status. A firmware may switch memory decode off again after it was on, so
/// an address is only a place to try.
fn placed(machine: &mut Machine) -> Result<()> {
    crate::bed::set_property(machine, "status", 0x5ea_b105u32)?;
    let deadline = Instant::now() + Duration::from_secs(120);
    let mut last = String::from("no address");
    while Instant::now() < deadline {
        if let Some(address) = address(machine)? {
            let read = format!("xp /1wx {:#x}", address + 4);
            match machine.qmp().human(&read) {
                Ok(word) if word.contains("0x05eab105") => return Ok(()),
                Ok(word) => last = word,
                Err(error) => last = error.to_string(),
            }
        }
        sleep(Duration::from_millis(200));
    }
    bail!(
        "BAR0 does not answer within 120 s ({last}): {}",
        machine.console()
    )
}

/// Where BAR0 is now, if memory decode is on. Behind a port QEMU finds the
/// device once firmware has numbered the buses.
fn address(machine: &mut Machine) -> Result<Option<u64>> {
    let Some(device) = query_pci(machine, "vgpu")? else {
        return Ok(None);
    };
    let region = &device["regions"][0];
    let Some(address) = region["address"].as_i64().filter(|at| *at > 0) else {
        return Ok(None);
    };
    assert_eq!(region["size"], 4096);
    Ok(Some(address.try_into()?))
}

#[test]
fn seabios_places_the_bar() -> Result<()> {
    for place in Place::ALL {
        let mut machine = Bed::new()?.with_device(place, "").start()?;
        placed(&mut machine)?;
    }
    Ok(())
}

/// A machine with the device that starts OVMF.
fn ovmf(bed: &Bed, place: Place) -> Result<MachineBuilder> {
    let firmware = Firmware::ovmf(&bed.cache, &bed.steps)?;
    let machine = MachineBuilder::new(&bed.qemu, place.machine(), &firmware);
    Ok(place
        .port()
        .into_iter()
        .fold(machine, MachineBuilder::device)
        .device(&format!("vgpu-stub,id=vgpu,{}", place.bus())))
}

#[test]
fn ovmf_places_the_bar() -> Result<()> {
    let bed = Bed::new()?;
    for place in [Place::Pc, Place::RootPort] {
        let mut machine = ovmf(&bed, place)?.start()?;
        placed(&mut machine)?;
    }
    Ok(())
}

#[test]
fn the_uefi_shell_lists_the_device() -> Result<()> {
    let bed = Bed::new()?;
    let mut machine = ovmf(&bed, Place::Q35)?.start()?;
    expect(&mut machine, "Shell>")?;
    machine.type_text("pci\r")?;
    expect(&mut machine, "Vendor 1AF4 Device 1111")?;
    Ok(())
}

/// Waits for `text` on the console, and returns all of the console.
fn expect(machine: &mut Machine, text: &str) -> Result<String> {
    let deadline = Instant::now() + Duration::from_secs(120);
    while Instant::now() < deadline {
        let console = machine.console();
        if console.contains(text) {
            return Ok(console);
        }
        sleep(Duration::from_millis(200));
    }
    bail!(
        "no {text:?} on the console within 120 s: {}",
        machine.console()
    )
}
