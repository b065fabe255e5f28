//! The conformance suite on QEMU: without a guest, and by a program in one.

use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use vgpu_conformance::{Error, Identity, Outcome, Target, run};
use vgpu_testbed::machine::Machine;
use vgpu_testbed::qtest::PciAddress;

use crate::bed::{Bed, Place, property, set_property};

const SPARE: u32 = 0xfe20_0000;
const HOME: u32 = 0xfe40_0000;

/// A machine's device, reached by QEMU's qtest in place of a CPU.
pub(crate) struct QtestTarget {
    pub(crate) machine: Machine,
    address: PciAddress,
}

impl QtestTarget {
    /// Does what firmware would: opens the way to the device, places BAR0.
    pub(crate) fn new(mut machine: Machine, place: Place) -> Result<Self> {
        let function = |bus, device| PciAddress {
            bus,
            device,
            function: 0,
        };
        let qtest = machine.qtest()?;
        let address = match place {
            Place::Pc | Place::Q35 => function(0, 5),
            Place::RootPort => {
                let mut port = qtest.config_ports(function(0, 4));
                port.write(0x18, 4, 0x0001_0100)?; // buses: primary 0, secondary 1
                port.write(0x20, 4, 0xfe50_fe20)?; // memory window 0xfe200000..0xfe600000
                port.write(0x04, 2, 0x0006)?; // memory, bus master
                function(1, 0)
            }
        };
        let mut config = qtest.config_ports(address);
        config.write(0x10, 4, HOME)?;
        config.write(0x04, 2, 0x0002)?;
        Ok(Self { machine, address })
    }

    fn bar0(&mut self) -> Result<u64, Error> {
        Ok(self.config_read(0x10, 4)?.into())
    }
}

fn access(error: impl Into<anyhow::Error>) -> Error {
    Error::Access(format!("{:#}", error.into()))
}

impl Target for QtestTarget {
    fn config_read(&mut self, offset: u16, size: usize) -> Result<u32, Error> {
        let offset = u8::try_from(offset).map_err(access)?;
        let qtest = self.machine.qtest().map_err(access)?;
        qtest
            .config_ports(self.address)
            .read(offset, size)
            .map_err(access)
    }

    fn config_write(&mut self, offset: u16, size: usize, value: u32) -> Result<(), Error> {
        let offset = u8::try_from(offset).map_err(access)?;
        let qtest = self.machine.qtest().map_err(access)?;
        qtest
            .config_ports(self.address)
            .write(offset, size, value)
            .map_err(access)
    }

    fn bar0_read(&mut self, offset: u64, size: usize) -> Result<u64, Error> {
        let address = self.bar0()? + offset;
        let qtest = self.machine.qtest().map_err(access)?;
        qtest.memory_read(address, size).map_err(access)
    }

    fn bar0_write(&mut self, offset: u64, size: usize, value: u64) -> Result<(), Error> {
        let address = self.bar0()? + offset;
        let qtest = self.machine.qtest().map_err(access)?;
        qtest.memory_write(address, size, value).map_err(access)
    }

    fn spare_address(&self) -> Option<u32> {
        Some(SPARE)
    }

    fn set_status(&mut self, status: u32) -> Option<Result<(), Error>> {
        Some(set_property(&mut self.machine, "status", status).map_err(access))
    }
}

fn identity(place: Place) -> Identity {
    Identity {
        on_root_bus: place != Place::RootPort,
        ..Identity::default()
    }
}

fn without_guest(place: Place) -> Result<()> {
    let machine = Bed::new()?.with_device(place, "").qtest().start()?;
    let mut target = QtestTarget::new(machine, place)?;
    for report in run(&mut target, &identity(place)) {
        println!("{report}");
        assert_eq!(report.outcome, Outcome::Passed, "{report}");
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
        on_root_bus: true,
    };
    let mut target = QtestTarget::new(machine, Place::Q35)?;
    for report in run(&mut target, &identity) {
        assert_eq!(report.outcome, Outcome::Passed, "{report}");
    }
    Ok(())
}

/// The suite as a program in a guest.
pub(crate) fn by_a_guest(machine: &mut Machine, place: Place) -> Result<()> {
    let port = if place == Place::RootPort {
        " --behind-port"
    } else {
        ""
    };
    let command = format!("vgpu-conformance {}{port}", place.address());
    let report = machine.guest()?.run(&command)?;
    println!("{}{}", report.stdout, report.stderr);
    let report = report.success()?;
    let count = |word| report.lines().filter(|line| line.starts_with(word)).count();
    assert_eq!((count("passed"), count("skipped")), (10, 2), "{report}");
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
