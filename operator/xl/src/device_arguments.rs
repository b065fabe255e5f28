//! The properties of `-device vgpu-stub` in the words of `vgpu-stub xen
//! --device`: those that the device has in QEMU, with the values that QEMU
//! takes (hw/core/qdev-properties.c, hw/pci/pci.c).

use serde_json::Value;
use vgpu_emulator::{DeviceProperties, Kind, PROPERTIES, number};
use vgpu_pci::Slot;
use vgpu_terminal::Failure;

use crate::DeviceOption;

/// A property of the device in QEMU.
pub(super) struct Property {
    pub(super) name: &'static str,
    /// What it takes, in words.
    pub(super) takes: String,
    meaning: Meaning,
}

enum Meaning {
    /// A property of the emulator's too.
    Own(&'static vgpu_emulator::Property),
    /// The device is so anyway where this holds, and cannot be else.
    Fixed(Holds),
}

/// Whether a value is the one that the device has.
type Holds = fn(&Value) -> bool;

/// A value that is not taken.
struct Refused;

/// The device, as QEMU's `-device` has it.
pub(super) const DEVICE: &str = "vgpu-stub";

/// What every PCI device has in QEMU: what it takes here, and whether a value is that.
const FIXED: [(&str, &str, Holds); 6] = [
    ("bus", "pci.0", |value| value.as_str() == Some("pci.0")),
    ("command_serr_enable", "on", |value| {
        switch(value) == Some(true)
    }),
    ("id", "name", Value::is_string),
    ("multifunction", "off", |value| switch(value) == Some(false)),
    // Without a ROM, its BAR is not there either way.
    ("rombar", "0 or 1", |value| {
        matches!(number(value), Some(0 | 1))
    }),
    ("romfile", "nothing: there is no ROM", |value| {
        value.as_str() == Some("")
    }),
];

/// All properties, by name.
pub(super) fn all() -> Vec<Property> {
    let own = PROPERTIES.iter().filter_map(|property| {
        let values = property.kind.values();
        let (name, takes) = match property.kind {
            Kind::Id | Kind::Number => (property.name, format!("number, {values}")),
            Kind::Size => (property.name, format!("size, {values}")),
            // QEMU's name for the slot, and its digits.
            Kind::Slot => (
                "addr",
                "slot of bus pci.0, 0 to 1f in hexadecimal, perhaps with function .0".to_owned(),
            ),
            // There are no features here.
            Kind::Switch => return None,
        };
        let meaning = Meaning::Own(property);
        Some(Property {
            name,
            takes,
            meaning,
        })
    });
    let fixed = FIXED.iter().map(|&(name, takes, holds)| Property {
        name,
        takes: takes.to_owned(),
        meaning: Meaning::Fixed(holds),
    });
    let mut all: Vec<_> = own.chain(fixed).collect();
    all.sort_by_key(|property| property.name);
    all
}

impl Property {
    /// The emulator's property; none where the device is as this says anyway.
    fn own(&self, value: &Value) -> Result<Option<String>, Refused> {
        let own = match self.meaning {
            Meaning::Fixed(holds) => return holds(value).then_some(None).ok_or(Refused),
            Meaning::Own(own) => own,
        };
        let taken = match own.kind {
            Kind::Id => number(value).map(|id| format!("{id:#06x}")),
            Kind::Number => number(value).map(|number| number.to_string()),
            Kind::Size => size(value).map(number::size),
            Kind::Slot => slot(value).map(|slot| format!("{:#x}", u8::from(slot))),
            Kind::Switch => None,
        };
        let taken = taken.ok_or(Refused)?;
        Ok(Some(format!("{}={taken}", own.name)))
    }
}

/// The properties of a device, as `vgpu-stub xen` takes them.
pub(super) fn properties(value: &str, option: &DeviceOption) -> Result<String, Failure> {
    let refused = |cause: String| {
        Failure::new(
            format!("-device {value}: {cause}"),
            format!("see -device {DEVICE},help of this device model for what it takes"),
        )
    };
    let all = all();
    let mut own = Vec::new();
    for (name, value) in option.properties().filter(|(name, _)| *name != "driver") {
        let property = all.iter().find(|property| property.name == name);
        let property = property.ok_or_else(|| {
            let names: Vec<_> = all.iter().map(|property| property.name).collect();
            let names = names.join(", ");
            refused(format!("there is no property '{name}'; there are {names}"))
        })?;
        let words = property.own(value).map_err(|Refused| {
            let shown = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            refused(format!("{name}={shown}: it takes {}", property.takes))
        })?;
        own.extend(words);
    }
    let own = own.join(",");
    if !own.is_empty() {
        own.parse::<DeviceProperties>().map_err(refused)?;
    }
    Ok(own)
}

/// A slot as QEMU's `addr` has it: hexadecimal, with or without 0x, and
/// perhaps the function after a dot. A number of JSON is slot and function in
/// one.
fn slot(value: &Value) -> Option<Slot> {
    let (slot, function) = match value.as_u64() {
        Some(both) => (both >> 3, both & 7),
        None => {
            let address = value.as_str()?;
            let (slot, function) = address.split_once('.').unwrap_or((address, "0"));
            (hexadecimal(slot)?, hexadecimal(function)?)
        }
    };
    let slot = Slot::try_from(u8::try_from(slot).ok()?).ok()?;
    (function == 0).then_some(slot)
}

fn hexadecimal(text: &str) -> Option<u64> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    number::digits_of(digits.unwrap_or(text), 16)
}

/// A number as C has it: hexadecimal after 0x, octal after 0.
fn number(value: &Value) -> Option<u64> {
    let Some(text) = value.as_str() else {
        return value.as_u64();
    };
    match text.strip_prefix('0') {
        Some(digits) if digits.starts_with(['x', 'X']) => hexadecimal(text),
        Some(digits) if !digits.is_empty() => number::digits_of(digits, 8),
        _ => number::digits_of(text, 10),
    }
}

/// A number of bytes, or one with a unit (QEMU: util/cutils.c).
fn size(value: &Value) -> Option<u64> {
    const UNITS: [&str; 4] = ["Bb", "Kk", "Mm", "Gg"];
    let text = value.as_str().unwrap_or_default();
    let unit = UNITS.iter().zip([0, 10, 20, 30]);
    let unit = unit
        .filter_map(|(letters, shift)| Some((text.strip_suffix(|c| letters.contains(c))?, shift)))
        .next();
    match unit {
        // A hexadecimal number may end in B, and has no unit.
        Some((digits, shift)) if !text.starts_with("0x") => {
            number::digits_of(digits, 10)?.checked_mul(1 << shift)
        }
        _ => match value {
            Value::String(text) => number::parse(text),
            value => value.as_u64(),
        },
    }
}

/// A switch (QEMU: qapi/qapi-util.c).
fn switch(value: &Value) -> Option<bool> {
    match value.as_str() {
        Some("on" | "yes" | "true" | "y") => Some(true),
        Some("off" | "no" | "false" | "n") => Some(false),
        Some(_) => None,
        None => value.as_bool(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(value: &str) -> Result<String, String> {
        let option = DeviceOption::parse(value).unwrap();
        properties(value, &option).map_err(|failure| failure.cause)
    }

    #[test]
    fn what_qemu_takes_is_taken() {
        for (properties, own_words) in [
            ("", ""),
            (",id=a,bus=pci.0,multifunction=off,romfile=,rombar=0", ""),
            (",nomultifunction,rombar=1,command_serr_enable=on", ""),
            (",addr=0x18", "slot=0x18"),
            (",addr=18", "slot=0x18"),
            (",addr=5.0", "slot=0x5"),
            (",addr=0x18.0x0", "slot=0x18"),
            (",addr=1f", "slot=0x1f"),
            (",addr=4,addr=5", "slot=0x5"),
            (",vendor-id=6900", "vendor-id=0x1af4"),
            (",vendor-id=0x1AF4", "vendor-id=0x1af4"),
            (",device-id=010", "device-id=0x0008"),
            (",revision=0x10", "revision=16"),
            (",bar0-size=64K", "bar0-size=64K"),
            (",bar0-size=1m", "bar0-size=1M"),
            (",bar0-size=0x1000", "bar0-size=4K"),
            (",bar0-size=4096B", "bar0-size=4K"),
        ] {
            assert_eq!(
                own(&format!("vgpu-stub{properties}")).unwrap(),
                own_words,
                "{properties}"
            );
        }
        let json = r#"{"driver":"vgpu-stub","id":"a","addr":200,"device-id":4370,"multifunction":false,"bar0-size":8192}"#;
        assert_eq!(
            own(json).unwrap(),
            "slot=0x19,bar0-size=8K,device-id=0x1112"
        );
    }

    #[test]
    fn what_the_device_cannot_be_is_refused_by_name() {
        for (property, reason) in [
            ("addr=20", "addr=20: it takes slot of bus pci.0"),
            ("addr=5.1", "addr=5.1: it takes slot"),
            ("addr=x", "addr=x: it takes slot"),
            ("addr=", "addr=: it takes slot"),
            ("addr=-1", "addr=-1: it takes slot"),
            ("bus=pci.1", "bus=pci.1: it takes pci.0"),
            ("multifunction=on", "multifunction=on: it takes off"),
            ("multifunction", "multifunction=on: it takes off"),
            ("romfile=x", "romfile=x: it takes nothing"),
            ("rombar=2", "rombar=2: it takes 0 or 1"),
            ("command_serr_enable=off", "takes on"),
            ("bar0-size=3K", "power of two from 4096"),
            ("bar0-size=1.5K", "bar0-size=1.5K: it takes size"),
            ("vendor-id=0", "means \"no device here\""),
            ("vendor-id=x", "vendor-id=x: it takes number, 0x0001"),
            ("device-id=65536", "such as 0x1af4"),
            ("revision=256", "from 0 to 255"),
            (
                "failover_pair_id=a",
                "there is no property 'failover_pair_id'; there are addr,",
            ),
            ("on", "there is no property 'on'"),
        ] {
            let cause = own(&format!("vgpu-stub,{property}")).unwrap_err();
            assert!(cause.contains(reason), "{property}: {cause}");
        }
    }
}
