//! The conformance suite on QEMU without a guest.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use vgpu_conformance::{Identity, Outcome, Target, run};

use crate::bed::{Bed, property, set_property};
use crate::common::{Place, QtestTarget};

fn without_guest(place: Place) -> Result<()> {
    let machine = Bed::new()?.with_device(place, "").qtest().start()?;
    let mut target = QtestTarget::new(machine, place)?
        .with_status(|machine, status| set_property(machine, "status", status));
    for report in run(&mut target, &place.identity()) {
        println!("{report}");
        let resettable = place.identity().port_type.is_some() || !report.name.starts_with("reset");
        assert_eq!(report.outcome == Outcome::Passed, resettable, "{report}");
    }
    // Exactly what the case "other accesses" makes: 5 in the registers, 16 in
    // the reserved part.
    assert_eq!(property(&mut target.machine, "refused-reads")?, 21);
    assert_eq!(property(&mut target.machine, "refused-writes")?, 21);
    Ok(())
}

#[test]
fn pc_conforms() -> Result<()> {
    without_guest(Place::Pc)
}

#[test]
fn q35_conforms() -> Result<()> {
    without_guest(Place::Q35)
}

#[test]
fn a_root_port_conforms() -> Result<()> {
    without_guest(Place::RootPort)
}

#[test]
fn a_bridge_of_pc_conforms() -> Result<()> {
    without_guest(Place::PcBridge)
}

#[test]
fn a_bridge_of_q35_conforms() -> Result<()> {
    without_guest(Place::Q35Bridge)
}

#[test]
fn another_identity_conforms() -> Result<()> {
    let properties = ",vendor-id=0x5853,device-id=0xc201,subsystem-vendor-id=0x1234,subsystem-id=0x5678,revision=9,bar0-size=1M";
    let machine = Bed::new()?
        .with_device(Place::Q35, properties)
        .qtest()
        .start()?;
    let identity = Identity {
        vendor_id: 0x5853,
        device_id: 0xc201,
        subsystem_vendor_id: 0x1234,
        subsystem_id: 0x5678,
        revision: 9,
        bar0_size: 1 << 20,
        ..Identity::default()
    };
    let mut target = QtestTarget::new(machine, Place::Q35)?
        .with_status(|machine, status| set_property(machine, "status", status));
    for report in run(&mut target, &identity) {
        assert_eq!(report.outcome, Outcome::Passed, "{report}");
    }
    Ok(())
}

/// A machine reset puts the device back, in the model and in QEMU.
#[test]
fn a_machine_reset_is_a_power_on() -> Result<()> {
    let machine = Bed::new()?.with_device(Place::Q35, "").qtest().start()?;
    let mut target = QtestTarget::new(machine, Place::Q35)?;
    target.bar0_write(0x10, 4, 0x1234_5678)?;
    target.config_write(0x3c, 1, 0x0b)?;
    set_property(&mut target.machine, "status", 7)?;
    let qmp = target.machine.qmp();
    // Machines here end at a reset otherwise.
    qmp.execute("set-action", json!({ "reboot": "reset" }))?;
    qmp.execute("system_reset", Value::Null)?;
    qmp.wait_event("RESET", Duration::from_secs(60))?;
    assert_eq!(target.config_read(0x04, 4)?, 0x0010_0000);
    assert_eq!(target.config_read(0x10, 4)?, 0);
    assert_eq!(target.config_read(0x3c, 1)?, 0xff);
    for register in ["request-id", "status"] {
        assert_eq!(property(&mut target.machine, register)?, 0, "{register}");
    }
    Ok(())
}
