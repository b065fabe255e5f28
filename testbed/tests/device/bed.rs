//! Machines with the device.

use std::env;
use std::fmt;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use vgpu_testbed::cache::Cache;
use vgpu_testbed::firmware::Firmware;
use vgpu_testbed::guest::{GuestImage, GuestProgram};
use vgpu_testbed::machine::{Machine, MachineBuilder, MachineType};
use vgpu_testbed::steps::Steps;

/// Where the device sits in a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// On the conventional bus of pc.
    Pc,
    /// On the root complex of q35.
    Q35,
    /// Behind a root port of q35.
    RootPort,
}

impl Place {
    pub(crate) const ALL: [Self; 3] = [Self::Pc, Self::Q35, Self::RootPort];

    pub(crate) fn machine(self) -> MachineType {
        match self {
            Self::Pc => MachineType::Pc,
            Self::Q35 | Self::RootPort => MachineType::Q35,
        }
    }

    /// The device's address in the guest.
    pub(crate) fn address(self) -> &'static str {
        match self {
            Self::Pc | Self::Q35 => "0000:00:05.0",
            Self::RootPort => "0000:01:00.0",
        }
    }

    /// The QEMU devices that lead to the place.
    pub(crate) fn port(self) -> Option<&'static str> {
        match self {
            Self::Pc | Self::Q35 => None,
            Self::RootPort => Some("pcie-root-port,id=root-port,chassis=1,addr=4"),
        }
    }

    /// Where `-device` puts the device.
    pub(crate) fn bus(self) -> &'static str {
        match self {
            Self::Pc | Self::Q35 => "addr=5",
            Self::RootPort => "bus=root-port",
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pc => "pc",
            Self::Q35 => "q35",
            Self::RootPort => "root-port",
        })
    }
}

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
        let programs = environment("VGPU_STUB_PROGRAMS")?;
        let files = ["vgpu-stub", "vgpu-conformance"].map(|name| (name, programs.join(name)));
        let programs = files
            .each_ref()
            .map(|(name, file)| GuestProgram { name, file });
        GuestImage::assemble(&self.cache, &programs, &self.steps)
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

fn environment(name: &str) -> Result<PathBuf> {
    env::var_os(name)
        .map(PathBuf::from)
        .with_context(|| format!("{name} is not set; run these tests with: cargo xtask test"))
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
