//! The PCI Express capability, version 2 (PCIe 4.0 section 7.5.3).
//!
//! The function sends no requests of its own yet, so whatever a function may
//! hardwire to 0 for that reason is 0: payload and request sizes, relaxed
//! ordering, no snoop, extended tags, completion time-outs.

use super::{Capability, CapabilityState};
use crate::{Changes, ConfigRegister, DwordWrite};

/// Device/Port Type: where the function sits (PCIe 4.0 section 7.5.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortType {
    /// Behind a root port or a switch, at the end of a link.
    Endpoint,
    /// On a root bus, without a link.
    RootComplexIntegratedEndpoint,
}

/// The PCI Express capability with function level reset.
#[derive(Debug, Clone, Copy)]
pub struct Express {
    port_type: PortType,
}

/// Index of the dword that holds Device Control and Device Status.
const DEVICE_CONTROL: usize = 2;

impl Express {
    /// Size in bytes: a version 2 capability holds all registers, used or not.
    pub const SIZE: u16 = 0x3c;

    /// A capability for a function that sits at a port of this type.
    #[must_use]
    pub const fn new(port_type: PortType) -> Self {
        Self { port_type }
    }
}

/// Bits of the capability's registers, at their places in the dword.
mod bits {
    /// Capability version 2, in bits 19:16 of the first dword.
    pub(super) const VERSION: u32 = 2 << 16;
    /// Device/Port Type starts at bit 20 of the first dword.
    pub(super) const PORT_TYPE_SHIFT: u32 = 20;

    /// Role-based error reporting: mandatory since PCIe 1.1.
    pub(super) const ROLE_BASED_ERRORS: u32 = 1 << 15;
    /// The function can be reset alone.
    pub(super) const FLR_CAPABLE: u32 = 1 << 28;

    /// Correctable, non-fatal, fatal and unsupported-request reporting.
    pub(super) const ERROR_REPORTING: u32 = 0xf;
    /// Initiate Function Level Reset: written 1 acts, always reads 0.
    pub(super) const INITIATE_FLR: u32 = 1 << 15;

    /// Link of 2.5 GT/s, one lane; the same encoding in capabilities (speed
    /// 3:0, width 9:4) and status.
    pub(super) const LINK_2_5_GT_X1: u32 = 1 | (1 << 4);
    /// ASPM Optionality Compliance: set by all components that follow 3.0.
    pub(super) const ASPM_OPTIONALITY: u32 = 1 << 22;
    /// ASPM control, common clock, extended synch: software may set them.
    pub(super) const LINK_CONTROL: u32 = 0b1100_0011;
    /// Supported Link Speeds Vector: 2.5 GT/s.
    pub(super) const SPEEDS_2_5_GT: u32 = 1 << 1;
}

impl Capability for Express {
    fn id(&self) -> u8 {
        0x10
    }

    fn registers(&self) -> Vec<ConfigRegister> {
        use bits::*;
        const RO: ConfigRegister = ConfigRegister::UNIMPLEMENTED;

        let (port_type, link) = match self.port_type {
            PortType::Endpoint => (
                0b0000,
                [
                    ConfigRegister::read_only(LINK_2_5_GT_X1 | ASPM_OPTIONALITY),
                    ConfigRegister::new(LINK_2_5_GT_X1 << 16, LINK_CONTROL),
                    ConfigRegister::read_only(SPEEDS_2_5_GT),
                ],
            ),
            // No link: its registers read 0 (section 7.5.3.6).
            PortType::RootComplexIntegratedEndpoint => (0b1001, [RO; 3]),
        };
        let [link, link_control, link_2] = link;
        vec![
            /* 0x00 */ ConfigRegister::read_only(VERSION | (port_type << PORT_TYPE_SHIFT)),
            /* 0x04 device capabilities */
            ConfigRegister::read_only(ROLE_BASED_ERRORS | FLR_CAPABLE),
            /* 0x08 device control, status */ ConfigRegister::new(0, ERROR_REPORTING),
            /* 0x0c link capabilities */ link,
            /* 0x10 link control, status */ link_control,
            /* 0x14 slot capabilities */ RO,
            /* 0x18 slot control, status */ RO,
            /* 0x1c root control, capabilities */ RO,
            /* 0x20 root status */ RO,
            /* 0x24 device capabilities 2 */ RO,
            /* 0x28 device control 2, status 2 */ RO,
            /* 0x2c link capabilities 2 */ link_2,
            /* 0x30 link control 2: may be hardwired at one speed */ RO,
            /* 0x34 slot capabilities 2 */ RO,
            /* 0x38 slot control 2, status 2 */ RO,
        ]
    }

    fn written(&mut self, register: usize, write: DwordWrite) -> Changes {
        if register == DEVICE_CONTROL && write.value() & bits::INITIATE_FLR != 0 {
            Changes::FUNCTION_LEVEL_RESET
        } else {
            Changes::NONE
        }
    }

    fn state(&self) -> Option<&dyn CapabilityState> {
        None
    }

    fn state_mut(&mut self) -> Option<&mut dyn CapabilityState> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_fill_the_version_2_structure() {
        for port_type in [PortType::Endpoint, PortType::RootComplexIntegratedEndpoint] {
            let registers = Express::new(port_type).registers();
            assert_eq!(registers.len() * 4, usize::from(Express::SIZE));
        }
    }
}
