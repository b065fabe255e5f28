//! Values of the device as the protocol has them.

use std::fmt;

use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use vgpu_device::Register;

/// The registers of BAR0 with their values, in the order that the server sent them in.
///
/// On the wire it is an object with a field for each: the register's name in
/// small letters, with `_` for spaces. Servers of this version of the protocol
/// differ in which they know: one that is missing is absent, and one that this
/// program does not know is left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Registers(Vec<(Register, u32)>);

impl Registers {
    /// These registers.
    #[must_use]
    pub fn new(values: &[(Register, u32)]) -> Self {
        Self(values.to_vec())
    }

    /// The value of a register; `None` where the server knows no such register.
    #[must_use]
    pub fn get(&self, register: Register) -> Option<u32> {
        let found = self.0.iter().find(|(known, _)| *known == register);
        found.map(|(_, value)| *value)
    }
}

/// A register's name on the wire.
fn field(register: Register) -> String {
    register.name().to_lowercase().replace(' ', "_")
}

impl Serialize for Registers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = self.0.iter();
        serializer.collect_map(fields.map(|&(register, value)| (field(register), value)))
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
                while let Some(name) = map.next_key::<String>()? {
                    match Register::ALL.into_iter().find(|&r| field(r) == name) {
                        Some(register) => registers.push((register, map.next_value()?)),
                        None => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                if registers.is_empty() {
                    return Err(A::Error::custom("no register that this program knows"));
                }
                Ok(Registers(registers))
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

/// What was counted since the process started.
///
/// Every server of this version of the protocol sends these. What one counts
/// besides becomes an [`Option`], `None` from a server that does not.
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
