//! Where the device sits in a machine.

use std::fmt;

use vgpu_conformance::Identity;
use vgpu_testbed::machine::MachineType;

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

    /// The default device there.
    pub(crate) fn identity(self) -> Identity {
        Identity {
            on_root_bus: self != Self::RootPort,
            ..Identity::default()
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
