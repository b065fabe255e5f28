//! The device's options, as one list: `vendor-id=0x1af4,bar0-size=64K`. The
//! names and values are those of QEMU's `-device vgpu-stub`.

use std::str::FromStr;

use vgpu_device::{Bar0Size, DeviceConfig, FeaturesConfig};
use vgpu_pci::{PciId, Slot};

use crate::number;

/// What a user chose; all else is the default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceProperties {
    /// The device.
    pub config: DeviceConfig,
    /// Its slot on bus 0, where one was chosen.
    pub slot: Option<Slot>,
}

/// What a property takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An id, which is hexadecimal.
    Id,
    /// A small number.
    Number,
    /// A number of bytes.
    Size,
    /// A slot of bus 0.
    Slot,
    /// On or off.
    Switch,
}

impl Kind {
    /// The parameter of a help, and its values in words.
    fn help(self) -> (&'static str, &'static str) {
        match self {
            Self::Id => ("ID", "0x0001 to 0xfffe"),
            Self::Number => ("NUMBER", "0 to 255"),
            Self::Size => ("SIZE", "a power of two from 4K to 16M"),
            Self::Slot => ("SLOT", "0x00 to 0x1f"),
            Self::Switch => ("on|off", "on or off"),
        }
    }

    /// The values, in words.
    #[must_use]
    pub fn values(self) -> &'static str {
        self.help().1
    }
}

/// A property of a device.
#[derive(Debug)]
pub struct Property {
    /// Its name in a list.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// Its value, where it has one.
    get: fn(&DeviceProperties) -> Option<String>,
    /// Gives it a value.
    set: fn(&mut DeviceProperties, &str) -> Result<(), String>,
}

/// All that there are.
pub const PROPERTIES: [Property; 8] = [
    Property {
        name: "vendor-id",
        kind: Kind::Id,
        get: |p| Some(shown(p.config.vendor_id)),
        set: |p, v| id(v).map(|id| p.config.vendor_id = id),
    },
    Property {
        name: "device-id",
        kind: Kind::Id,
        get: |p| Some(shown(p.config.device_id)),
        set: |p, v| id(v).map(|id| p.config.device_id = id),
    },
    Property {
        name: "subsystem-vendor-id",
        kind: Kind::Id,
        get: |p| Some(shown(p.config.subsystem_vendor_id)),
        set: |p, v| id(v).map(|id| p.config.subsystem_vendor_id = id),
    },
    Property {
        name: "subsystem-id",
        kind: Kind::Id,
        get: |p| Some(shown(p.config.subsystem_id)),
        set: |p, v| id(v).map(|id| p.config.subsystem_id = id),
    },
    Property {
        name: "revision",
        kind: Kind::Number,
        get: |p| Some(p.config.revision.to_string()),
        set: |p, v| revision(v).map(|revision| p.config.revision = revision),
    },
    Property {
        name: "bar0-size",
        kind: Kind::Size,
        get: |p| Some(number::size(p.config.bar0_size.bytes().into())),
        set: |p, v| size(v).map(|size| p.config.bar0_size = size),
    },
    Property {
        name: "features",
        kind: Kind::Switch,
        get: |p| {
            Some(
                if p.config.features.is_some() {
                    "on"
                } else {
                    "off"
                }
                .into(),
            )
        },
        set: |p, v| switch(v).map(|on| p.config.features = on.then(FeaturesConfig::default)),
    },
    Property {
        name: "slot",
        kind: Kind::Slot,
        get: |p| p.slot.map(|slot| format!("{:#04x}", u8::from(slot))),
        set: |p, v| slot(v).map(|slot| p.slot = Some(slot)),
    },
];

/// The slots of devices for which none is chosen, as [`placed`](crate::placed) gives them.
const FREE_SLOTS: &str = "0x18, then 0x19 …";

impl Property {
    /// Its line of a help.
    #[must_use]
    pub fn help(&self) -> String {
        let (parameter, values) = self.kind.help();
        let named = format!("{}={parameter}", self.name);
        let default = (self.get)(&DeviceProperties::default());
        let default = default.as_deref().unwrap_or(FREE_SLOTS);
        format!("  {named:<24}{values} [default: {default}]")
    }
}

impl FromStr for DeviceProperties {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut properties = Self::default();
        let mut seen = Vec::new();
        for part in text.split(',') {
            let (name, value) = part
                .split_once('=')
                .ok_or_else(|| format!("'{part}' is not NAME=VALUE"))?;
            let property = PROPERTIES.iter().find(|property| property.name == name);
            let Property { name, set, .. } = property.ok_or_else(|| {
                let names = PROPERTIES.map(|property| property.name).join(", ");
                format!("there is no property '{name}'; there are {names}")
            })?;
            if seen.contains(name) {
                return Err(format!("'{name}' is given twice"));
            }
            seen.push(name);
            set(&mut properties, value).map_err(|cause| format!("{name}={value}: {cause}"))?;
        }
        Ok(properties)
    }
}

impl DeviceProperties {
    /// The list that gives a device these properties: what differs from the default. None where nothing is to be said.
    pub(crate) fn text(&self) -> Option<String> {
        let default = Self::default();
        let said = PROPERTIES.iter().filter_map(|Property { name, get, .. }| {
            let value = get(self).filter(|value| get(&default).as_ref() != Some(value))?;
            Some(format!("{name}={value}"))
        });
        let said: Vec<String> = said.collect();
        (!said.is_empty()).then(|| said.join(","))
    }
}

/// The properties in `text` but the slot, as QEMU's `-device` takes them, in
/// this slot. QEMU reads its `addr` as a hexadecimal number.
#[must_use]
pub fn as_qemu(text: &str, slot: Slot) -> String {
    let slot = format!("addr={:#x}", u8::from(slot));
    let others = text
        .split(',')
        .filter(|part| !part.is_empty() && !part.starts_with("slot="));
    others.chain([slot.as_str()]).collect::<Vec<_>>().join(",")
}

fn slot(text: &str) -> Result<Slot, String> {
    let slot = number::parse(text).and_then(|number| u8::try_from(number).ok());
    let slot = slot.ok_or("expected a number from 0x00 to 0x1f")?;
    Slot::try_from(slot).map_err(|error| error.to_string())
}

fn switch(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("expected on or off".into()),
    }
}

fn revision(text: &str) -> Result<u8, String> {
    let number = number::parse(text).and_then(|number| u8::try_from(number).ok());
    number.ok_or_else(|| "expected a number from 0 to 255".into())
}

/// An id as [`id`] reads it.
fn shown(id: PciId) -> String {
    format!("{:#06x}", u16::from(id))
}

/// An id. Its 0x is required: 1111 could be meant either way.
fn id(text: &str) -> Result<PciId, String> {
    number::id_of(text.strip_prefix("0x").unwrap_or_default())
}

/// A size in bytes, or with K or M.
fn size(text: &str) -> Result<Bar0Size, String> {
    let (digits, unit) = match text.strip_suffix(['K', 'k']) {
        Some(digits) => (digits, 1 << 10),
        None => match text.strip_suffix(['M', 'm']) {
            Some(digits) => (digits, 1 << 20),
            None => (text, 1),
        },
    };
    let bytes = number::parse(digits)
        .and_then(|number| number.checked_mul(unit))
        .ok_or("expected a size such as 4K or 1M")?;
    Bar0Size::try_from(bytes).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use vgpu_xen::PlacedDevice;

    use super::*;

    fn parse(text: &str) -> Result<DeviceProperties, String> {
        text.parse()
    }

    #[test]
    fn every_property_reaches_the_configuration() {
        let all = parse(
            "vendor-id=0x5853,device-id=0xC201,subsystem-vendor-id=0x1,subsystem-id=0xfffe,revision=255,bar0-size=64K,slot=0x19",
        )
        .unwrap();
        let config = all.config;
        assert_eq!(u16::from(config.vendor_id), 0x5853);
        assert_eq!(u16::from(config.device_id), 0xc201);
        assert_eq!(u16::from(config.subsystem_vendor_id), 1);
        assert_eq!(u16::from(config.subsystem_id), 0xfffe);
        assert_eq!(config.revision, 255);
        assert_eq!(config.bar0_size.bytes(), 65536);
        assert_eq!(all.slot.map(u8::from), Some(0x19));

        let one = parse("revision=0x10").unwrap();
        let expected = DeviceConfig {
            revision: 16,
            ..DeviceConfig::default()
        };
        assert_eq!(one.config, expected);
        assert_eq!(one.slot, None);
        for size in ["4096", "4K", "4k", "0x1000", "0x4K"] {
            let properties = parse(&format!("bar0-size={size}")).unwrap();
            assert_eq!(properties.config, DeviceConfig::default(), "{size}");
        }
        assert_eq!(
            parse("bar0-size=16M").unwrap().config.bar0_size.bytes(),
            1 << 24
        );
    }

    #[test]
    fn slots_begin_where_the_help_says() {
        let slots: Vec<_> =
            crate::placed(&[DeviceProperties::default(), DeviceProperties::default()])
                .unwrap()
                .iter()
                .map(|device| format!("{:#04x}", u8::from(device.slot)))
                .collect();
        assert_eq!(FREE_SLOTS, format!("{} …", slots.join(", then ")));
    }

    #[test]
    fn qemu_gets_its_slot_in_hexadecimal() {
        for (text, qemu) in [
            ("slot=24", "addr=0x18"),
            ("slot=0x1a,bar0-size=64K", "bar0-size=64K,addr=0x1a"),
            ("slot=0x4,revision=2", "revision=2,addr=0x4"),
        ] {
            assert_eq!(as_qemu(text, parse(text).unwrap().slot.unwrap()), qemu);
        }
        let slot = PlacedDevice::default().slot;
        assert_eq!(as_qemu("", slot), "addr=0x18");
        assert_eq!(as_qemu("revision=2", slot), "revision=2,addr=0x18");
    }

    #[test]
    fn what_cannot_be_is_named_with_its_reason() {
        for (text, reason) in [
            ("", "'' is not NAME=VALUE"),
            ("vendor-id", "'vendor-id' is not NAME=VALUE"),
            ("revision=1,", "'' is not NAME=VALUE"),
            (
                "vendor=0x1",
                "no property 'vendor'; there are vendor-id, device-id,",
            ),
            ("revision=1,revision=2", "'revision' is given twice"),
            (
                "vendor-id=1af4",
                "vendor-id=1af4: expected a hexadecimal number",
            ),
            ("device-id=1111", "such as 0x1af4"),
            ("device-id=0x+111", "such as 0x1af4"),
            ("device-id=0x10000", "such as 0x1af4"),
            ("device-id=0xffff", "means \"no device here\""),
            ("subsystem-id=0x0", "means \"no device here\""),
            ("revision=256", "from 0 to 255"),
            ("revision=+1", "from 0 to 255"),
            ("revision=", "from 0 to 255"),
            ("bar0-size=12K", "use a power of two from 4096"),
            ("bar0-size=32M", "use a power of two from 4096"),
            ("bar0-size=K", "expected a size such as 4K"),
            ("bar0-size=99999999999999999999M", "expected a size"),
            ("bar0-size=18446744073709551615M", "expected a size"),
            ("features=yes", "expected on or off"),
            ("slot=32", "does not exist on a PCI bus"),
            ("slot=x", "from 0x00 to 0x1f"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
