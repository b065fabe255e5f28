//! Machines with the device.

use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use vgpu_bed::cache::Cache;
use vgpu_bed::firmware::Firmware;
use vgpu_bed::guest::GuestImage;
use vgpu_bed::machine::{Machine, MachineBuilder, MachineType};
use vgpu_bed::steps::Steps;

use crate::common::{self, Place, environment, image};

/// What every test here needs.
pub(crate) struct Bed {
    pub(crate) qemu: PathBuf,
    pub(crate) cache: Cache,
    pub(crate) steps: Steps,
    pub(crate) firmware: Firmware,
}

impl Bed {
    pub(crate) fn new() -> Result<Self> {
        let qemu = environment("VGPU_STUB_QEMU")?;
        let cache = Cache::open()?;
        let steps = Steps::new(&cache.dir("logs/tests")?)?;
        let firmware = Firmware::seabios(&cache, &steps)?;
        Ok(Self {
            qemu,
            cache,
            steps,
            firmware,
        })
    }

    /// The guest with the project's programs.
    pub(crate) fn image(&self) -> Result<GuestImage> {
        image(&self.cache, &self.steps)
    }

    /// A machine without the device.
    pub(crate) fn machine(&self, machine: MachineType) -> MachineBuilder {
        MachineBuilder::new(&self.qemu, machine, &self.firmware)
    }

    /// A machine with the device at `place`. Its QEMU id is `vgpu`;
    /// `properties` are added to it, each after a comma.
    pub(crate) fn with_device(&self, place: Place, properties: &str) -> MachineBuilder {
        let device = format!("vgpu-stub,id=vgpu,{}{properties}", place.bus());
        place
            .port()
            .into_iter()
            .fold(self.machine(place.machine()), MachineBuilder::device)
            .device(&device)
    }

    /// A machine with the device that boots the guest.
    pub(crate) fn boot(&self, place: Place, properties: &str) -> Result<Machine> {
        self.with_device(place, properties)
            .image(&self.image()?)
            .start()
    }
}

/// The device as `device_add` takes it.
pub(crate) fn device() -> Value {
    json!({ "driver": "vgpu-stub", "id": "vgpu" })
}

/// Plugs the device into a running machine, and waits until the guest sees it.
pub(crate) fn plug(machine: &mut Machine, place: Place) -> Result<()> {
    common::plug(machine, place, &device())
}

/// Reads a property of the device.
pub(crate) fn property(machine: &mut Machine, name: &str) -> Result<u64> {
    let value = machine.qmp().execute(
        "qom-get",
        json!({ "path": "/machine/peripheral/vgpu", "property": name }),
    )?;
    value
        .as_u64()
        .with_context(|| format!("property {name} is {value}"))
}

/// Sets a property of the device.
pub(crate) fn set_property(
    machine: &mut Machine,
    name: &str,
    value: impl Into<Value>,
) -> Result<()> {
    machine.qmp().execute(
        "qom-set",
        json!({ "path": "/machine/peripheral/vgpu", "property": name, "value": value.into() }),
    )?;
    Ok(())
}

/// QEMU's own account of a PCI device with this QEMU id, on any bus.
pub(crate) fn query_pci(machine: &mut Machine, id: &str) -> Result<Option<Value>> {
    fn find(devices: &Value, id: &str) -> Option<Value> {
        devices.as_array()?.iter().find_map(|device| {
            if device["qdev_id"] == id {
                Some(device.clone())
            } else {
                find(&device["pci_bridge"]["devices"], id)
            }
        })
    }
    let buses = machine.qmp().execute("query-pci", Value::Null)?;
    let buses = buses.as_array().context("no list of buses")?;
    Ok(buses.iter().find_map(|bus| find(&bus["devices"], id)))
}
