//! Values of the device as the protocol has them.

use std::fmt;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use vgpu_device::Register;

/// The registers of BAR0 with their values, in the order of their offsets.
///
/// On the wire it is an object with a field for each: the register's name in
/// small letters, with `_` for spaces.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Registers(Vec<(String, u32)>);

impl Registers {
    /// These registers.
    #[must_use]
    pub fn new(values: &[(Register, u32)]) -> Self {
        let fields = values
            .iter()
            .map(|&(register, value)| (field(register), value));
        Self(fields.collect())
    }

    /// The value of a register; a server names each.
    #[must_use]
    pub fn get(&self, register: Register) -> Option<u32> {
        let field = field(register);
        let found = self.0.iter().find(|(name, _)| *name == field);
        found.map(|(_, value)| *value)
    }
}

/// A register's name on the wire.
fn field(register: Register) -> String {
    register.name().to_lowercase().replace(' ', "_")
}

impl Serialize for Registers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de> Deserialize<'de> for Registers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Registers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with the values of registers")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Registers, A::Error> {
                let mut registers = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, u32>()? {
                    registers.push((name, value));
                }
                // A newer server may know more of them; none knows fewer.
                let registers = Registers(registers);
                match Register::ALL
                    .into_iter()
                    .find(|&r| registers.get(r).is_none())
                {
                    Some(missing) => Err(A::Error::custom(format!("no {}", field(missing)))),
                    None => Ok(registers),
                }
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

/// What was counted since the process started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counters {
    /// Reads of config space.
    pub config_reads: u64,
    /// Writes of config space.
    pub config_writes: u64,
    /// Reads of BAR0, the refused ones among them.
    pub bar0_reads: u64,
    /// Writes of BAR0, the refused ones among them.
    pub bar0_writes: u64,
    /// Reads of BAR0 in a form that the device does not take.
    pub refused_reads: u64,
    /// Writes of BAR0 in a form that the device does not take.
    pub refused_writes: u64,
    /// Resets, by the guest or of the machine.
    pub resets: u64,
    /// How often a VM was connected.
    pub connections: u64,
}

impl From<vgpu_runtime::Counters> for Counters {
    fn from(counted: vgpu_runtime::Counters) -> Self {
        let vgpu_runtime::Counters {
            config_reads,
            config_writes,
            bar0_reads,
            bar0_writes,
            refused_reads,
            refused_writes,
            resets,
            connections,
        } = counted;
        Self {
            config_reads,
            config_writes,
            bar0_reads,
            bar0_writes,
            refused_reads,
            refused_writes,
            resets,
            connections,
        }
    }
}
