//! The conformance suite on stock QEMU without a guest.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use vgpu_conformance::{Identity, Outcome, Target, run};
use vgpu_device::Register;

use crate::bed::{Bed, Served, identity};
use crate::common::{Place, QtestTarget};

fn conforms(served: &Served, target: QtestTarget, identity: &Identity) -> Result<()> {
    let mut control = served.control()?;
    let mut target = target.with_status(move |_, status| Ok(control.set_status(0, status)?));
    for report in run(&mut target, identity) {
        println!("{report}");
        assert_eq!(report.outcome, Outcome::Passed, "{report}");
    }
    // Exactly what the case "other accesses" makes: 5 in the registers, 16 in
    // the reserved part.
    let counters = served.counters()?;
    assert_eq!((counters.refused_reads, counters.refused_writes), (21, 21));
    Ok(())
}

fn without_guest(place: Place) -> Result<()> {
    let bed = Bed::new()?;
    let mut served = bed.serve(&[])?;
    let machine = bed.machine(&served, place).qtest().start()?;
    let target = QtestTarget::new(machine, place)?;
    conforms(&served, target, &identity(place))?;
    served.server.stop()
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
fn another_identity_conforms() -> Result<()> {
    let bed = Bed::new()?;
    let served = bed.serve(&[
        "--device",
        "vendor-id=0x5853,device-id=0xc201,subsystem-vendor-id=0x1234,subsystem-id=0x5678,revision=9,bar0-size=1M",
    ])?;
    let machine = bed.machine(&served, Place::Q35).qtest().start()?;
    let identity = Identity {
        vendor_id: 0x5853,
        device_id: 0xc201,
        subsystem_vendor_id: 0x1234,
        subsystem_id: 0x5678,
        revision: 9,
        bar0_size: 1 << 20,
        by_vfio: true,
        ..Identity::default()
    };
    conforms(&served, QtestTarget::new(machine, Place::Q35)?, &identity)
}

/// A machine reset reaches the server.
#[test]
fn a_machine_reset_is_a_power_on() -> Result<()> {
    let bed = Bed::new()?;
    let served = bed.serve(&[])?;
    let machine = bed.machine(&served, Place::Q35).qtest().start()?;
    let mut target = QtestTarget::new(machine, Place::Q35)?;
    target.bar0_write(0x10, 4, 0x1234_5678)?;
    target.config_write(0x3c, 1, 0x0b)?;
    served.control()?.set_status(0, 7)?;
    let before = served.counters()?.resets;
    let qmp = target.machine.qmp();
    // Machines here end at a reset otherwise.
    qmp.execute("set-action", json!({ "reboot": "reset" }))?;
    qmp.execute("system_reset", Value::Null)?;
    qmp.wait_event("RESET", Duration::from_secs(60))?;
    assert_eq!(target.config_read(0x04, 4)?, 0x0010_0000);
    assert_eq!(target.config_read(0x10, 4)?, 0);
    assert_eq!(target.config_read(0x3c, 1)?, 0xff);
    let registers = served.registers()?;
    assert_eq!(registers.get(Register::RequestId), Some(0));
    assert_eq!(registers.get(Register::Status), Some(0));
    assert_eq!(served.counters()?.resets, before + 1);
    Ok(())
}
