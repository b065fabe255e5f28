//! Where the device sits in a machine.

use std::fmt;

use serde_json::Value;
use vgpu_bed::machine::MachineType;
use vgpu_conformance::Identity;
use vgpu_pci::capability::PortType;

/// Where the device sits in a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// On the conventional bus of pc.
    Pc,
    /// On the root complex of q35.
    Q35,
    /// Behind a root port of q35.
    RootPort,
    /// Below a bridge of pc: conventional all the way.
    PcBridge,
    /// Below a bridge of q35 from PCI Express to conventional PCI.
    Q35Bridge,
}

impl Place {
    /// Where firmware has to find it.
    pub(crate) const ALL: [Self; 3] = [Self::Pc, Self::Q35, Self::RootPort];

    pub(crate) fn machine(self) -> MachineType {
        match self {
            Self::Pc | Self::PcBridge => MachineType::Pc,
            Self::Q35 | Self::RootPort | Self::Q35Bridge => MachineType::Q35,
        }
    }

    /// The device's address in the guest.
    pub(crate) fn address(self) -> &'static str {
        match self {
            Self::Pc | Self::Q35 => "0000:00:05.0",
            Self::RootPort => "0000:01:00.0",
            Self::PcBridge | Self::Q35Bridge => "0000:01:05.0",
        }
    }

    /// The default device there.
    pub(crate) fn identity(self) -> Identity {
        Identity {
            port_type: match self {
                Self::Pc | Self::Q35 | Self::PcBridge => {
                    Some(PortType::RootComplexIntegratedEndpoint)
                }
                Self::RootPort => Some(PortType::Endpoint),
                Self::Q35Bridge => None,
            },
            ..Identity::default()
        }
    }

    /// The QEMU devices that lead to the place.
    pub(crate) fn port(self) -> Option<&'static str> {
        match self {
            Self::Pc | Self::Q35 => None,
            Self::RootPort => Some("pcie-root-port,id=root-port,chassis=1,addr=4"),
            Self::PcBridge => Some("pci-bridge,id=bridge,chassis_nr=1,addr=4"),
            Self::Q35Bridge => Some("pcie-pci-bridge,id=bridge,addr=4"),
        }
    }

    /// Where `-device` puts the device.
    pub(crate) fn bus(self) -> &'static str {
        match self {
            Self::Pc | Self::Q35 => "addr=5",
            Self::RootPort => "bus=root-port",
            Self::PcBridge | Self::Q35Bridge => "bus=bridge,addr=5",
        }
    }

    /// The same as properties and their values.
    pub(crate) fn properties(self) -> impl Iterator<Item = (&'static str, Value)> {
        let properties = self
            .bus()
            .split(',')
            .filter_map(|text| text.split_once('='));
        properties.map(|(name, value)| (name, Value::from(value)))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pc => "pc",
            Self::Q35 => "q35",
            Self::RootPort => "root-port",
            Self::PcBridge => "pc-bridge",
            Self::Q35Bridge => "q35-bridge",
        })
    }
}
