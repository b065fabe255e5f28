//! A virtual machine as its QEMU describes it.

use std::cell::RefCell;
use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::arguments::{OWN, VFIO_USER};
use super::function::{Bar, CLASS, Function, Mapping};
use super::qmp::{Qmp, QmpError};
use crate::check::ids::Ids;

#[derive(Debug)]
pub(super) struct Machine {
    pub(super) version: Version,
    /// `running`, `paused`, `guest-panicked` … (QEMU: qapi/run-state.json)
    pub(super) status: String,
    /// The PCI devices that this QEMU has built in.
    types: Vec<String>,
    pub(super) functions: Vec<Function>,
    /// To look at memory later, where that is safe.
    qmp: RefCell<Qmp>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version {
    pub(super) major: u32,
    pub(super) minor: u32,
    micro: u32,
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.micro)
    }
}

impl Machine {
    pub(super) fn ask(mut qmp: Qmp) -> Result<Self, QmpError> {
        let version = qmp.ask("query-version", Value::Null)?;
        let version = serde_json::from_value(version["qemu"].clone());
        let status = qmp.ask("query-status", Value::Null)?;
        let types = qmp.ask("qom-list-types", json!({ "implements": "pci-device" }))?;
        let types = types.as_array().into_iter().flatten();
        let types = types.filter_map(|it| Some(it["name"].as_str()?.to_owned()));
        let types = types.collect();
        let buses = qmp.ask("query-pci", Value::Null)?;
        let buses: Vec<Bus> =
            serde_json::from_value(buses).map_err(|_| QmpError::Unintelligible)?;
        let drivers = drivers(&qmp.human("info qtree")?);
        Ok(Self {
            version: version.map_err(|_| QmpError::Unintelligible)?,
            status: status["status"].as_str().unwrap_or("unknown").to_owned(),
            types,
            functions: functions(buses, &drivers),
            qmp: RefCell::new(qmp),
        })
    }

    pub(super) fn has_type(&self, name: &str) -> bool {
        self.types.iter().any(|it| it == name)
    }

    /// The functions that are the project's device. What a vfio-user server
    /// has may be something else; with the ids or with the class it is meant
    /// to be the device.
    pub(super) fn ours(&self, ids: &Ids) -> Vec<Function> {
        let ours = |it: &&Function| match it.driver.as_str() {
            OWN => true,
            VFIO_USER => ids.are(it.vendor, it.device) || it.class == Some(CLASS),
            _ => false,
        };
        self.functions.iter().filter(ours).cloned().collect()
    }

    /// Whether other processes can map some of the guest's memory (QEMU: qapi/machine.json, `Memdev`).
    pub(super) fn memory_is_shared(&self) -> Result<bool, QmpError> {
        let memory = self.qmp.borrow_mut().ask("query-memdev", Value::Null)?;
        let mut all = memory.as_array().into_iter().flatten();
        Ok(all.any(|it| it["share"] == true))
    }

    /// Bytes of memory that the machine was started with.
    pub(super) fn memory_size(&self) -> Result<Option<u64>, QmpError> {
        let mut qmp = self.qmp.borrow_mut();
        let sizes = qmp.ask("query-memory-size-summary", Value::Null)?;
        Ok(sizes["base-memory"].as_u64())
    }

    /// Reads 4 bytes of the guest's memory, as a CPU of it would.
    pub(super) fn read(&self, address: u64) -> Result<Option<u32>, QmpError> {
        let text = self
            .qmp
            .borrow_mut()
            .human(&format!("xp /1xw {address:#x}"))?;
        let value = text.trim().rsplit(' ').next().unwrap_or_default();
        let digits = value.strip_prefix("0x");
        Ok(digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()))
    }
}

/// What `query-pci` returns of a bus (QEMU: qapi/pci.json).
#[derive(Deserialize)]
struct Bus {
    devices: Vec<Device>,
}

#[derive(Deserialize)]
struct Device {
    bus: u8,
    slot: u8,
    function: u8,
    class_info: Class,
    id: Id,
    regions: Vec<Region>,
    pci_bridge: Option<Bridge>,
}

#[derive(Deserialize)]
struct Class {
    class: u16,
}

#[derive(Deserialize)]
struct Id {
    vendor: u16,
    device: u16,
}

#[derive(Deserialize)]
struct Region {
    bar: u8,
    #[serde(rename = "type")]
    kind: String,
    size: u64,
    /// All ones, or -1, where it is not mapped.
    address: serde_json::Number,
}

#[derive(Deserialize)]
struct Bridge {
    #[serde(default)]
    devices: Vec<Device>,
}

fn functions(buses: Vec<Bus>, drivers: &HashMap<String, String>) -> Vec<Function> {
    let mut found = Vec::new();
    let mut devices: Vec<Device> = buses.into_iter().flat_map(|bus| bus.devices).collect();
    while let Some(device) = devices.pop() {
        let Device {
            bus,
            slot,
            function,
            ..
        } = device;
        let address = format!("{bus:02x}:{slot:02x}.{function:x}");
        let bar0 = device.regions.iter().find(|region| region.bar == 0);
        found.push(Function {
            driver: drivers.get(&address).cloned().unwrap_or_default(),
            address,
            vendor: device.id.vendor,
            device: device.id.device,
            class: Some(device.class_info.class),
            bar0: bar0.map(|region| Bar {
                is_memory: region.kind == "memory",
                size: region.size,
                mapping: match region.address.as_u64() {
                    Some(address) if address != u64::MAX => Mapping::At(address),
                    _ => Mapping::Nowhere,
                },
            }),
        });
        devices.extend(
            device
                .pci_bridge
                .into_iter()
                .flat_map(|bridge| bridge.devices),
        );
    }
    found.sort_unstable_by(|a, b| a.address.cmp(&b.address));
    found
}

/// Which device is at which address, by `info qtree`: a line "dev: DRIVER, id
/// …", and after it, for a PCI function, "class …, addr BB:SS.F, pci id …".
fn drivers(qtree: &str) -> HashMap<String, String> {
    let mut drivers = HashMap::new();
    let mut driver = "";
    for line in qtree.lines().map(str::trim) {
        if let Some(rest) = line.strip_prefix("dev: ") {
            driver = rest.split(',').next().unwrap_or_default();
        } else if let Some((_, rest)) = line.split_once(", addr ")
            && let Some((address, _)) = rest.split_once(", pci id ")
        {
            drivers.insert(address.to_owned(), driver.to_owned());
        }
    }
    drivers
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of QEMU 7.2, shortened.
    const QTREE: &str = r#"
bus: main-system-bus
  type System
  dev: i440FX-pcihost, id ""
    bus: pci.0
      type PCI
      dev: vgpu-stub, id "vgpu"
        vendor-id = 6900 (0x1af4)
        addr = 05.0
        class Class 1200, addr 00:05.0, pci id 1af4:1111 (sub 1af4:1111)
        bar 0: mem at 0xfebff000 [0xfebfffff]
      dev: PIIX3, id ""
        addr = 01.0
        class ISA bridge, addr 00:01.0, pci id 8086:7000 (sub 1af4:1100)
        bus: isa.0
          dev: isa-serial, id ""
"#;

    #[test]
    fn drivers_are_found_by_address() {
        let drivers = drivers(QTREE);
        assert_eq!(drivers["00:05.0"], "vgpu-stub");
        assert_eq!(drivers["00:01.0"], "PIIX3");
        assert_eq!(drivers.len(), 2);
    }

    #[test]
    fn functions_behind_bridges_and_unmapped_bars() {
        let device = |slot: u8, address: Value, bridge: Value| {
            json!({
                "bus": 0, "slot": slot, "function": 0, "irq": 0, "qdev_id": "",
                "class_info": { "class": 0x1200 }, "id": { "vendor": 0x1af4, "device": 0x1111 },
                "regions": [{ "bar": 0, "type": "memory", "size": 4096, "address": address,
                              "prefetch": false, "mem_type_64": false }],
                "pci_bridge": bridge,
            })
        };
        let inner = device(5, json!(0xfebf_f000u32), Value::Null);
        let outer = device(4, json!(-1), json!({ "bus": {}, "devices": [inner] }));
        let buses = serde_json::from_value(json!([{ "bus": 0, "devices": [outer] }])).unwrap();
        let found = functions(buses, &HashMap::new());
        let addresses: Vec<_> = found.iter().map(|it| it.bar0.unwrap().mapping).collect();
        assert_eq!(addresses, [Mapping::Nowhere, Mapping::At(0xfebf_f000)]);
    }
}
