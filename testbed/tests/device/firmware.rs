//! Other enumerators than Linux: SeaBIOS and OVMF place the BAR, GRUB and the
//! UEFI shell list the device.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use vgpu_testbed::firmware::Firmware;
use vgpu_testbed::machine::{Machine, MachineBuilder};

use crate::bed::{Bed, query_pci};
use crate::common::Place;

/// Waits until firmware has placed BAR0 and switched memory decode on.
fn placed(machine: &mut Machine) -> Result<u64> {
    let deadline = Instant::now() + Duration::from_secs(120);
    while Instant::now() < deadline {
        // Behind a port QEMU finds it once firmware has numbered the buses.
        if let Some(device) = query_pci(machine, "vgpu")? {
            let region = &device["regions"][0];
            if let Some(address) = region["address"].as_i64().filter(|at| *at > 0) {
                assert_eq!(region["size"], 4096);
                return Ok(address.try_into()?);
            }
        }
        sleep(Duration::from_millis(200));
    }
    bail!("firmware placed no BAR within 120 s: {}", machine.console())
}

/// What BAR0 answers at this address: the host's word in Status.
fn answers(machine: &mut Machine, address: u64) -> Result<()> {
    crate::bed::set_property(machine, "status", 0x5ea_b105u32)?;
    let word = machine
        .qmp()
        .human(&format!("xp /1wx {:#x}", address + 4))?;
    ensure!(word.contains("0x05eab105"), "{word}");
    Ok(())
}

#[test]
fn seabios_places_the_bar() -> Result<()> {
    for place in Place::ALL {
        let mut machine = Bed::new()?.with_device(place, "").start()?;
        let address = placed(&mut machine)?;
        answers(&mut machine, address)?;
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
        let address = placed(&mut machine)?;
        answers(&mut machine, address)?;
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
