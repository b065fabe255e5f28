//! The type-0 header: the first 64 bytes of config space (PCI 3.0 section
//! 6.1, figure 6-1).

use bitflags::bitflags;

use crate::{ConfigRegister, MemoryBar, PciId};

/// Byte offsets of the header's registers.
pub mod offset {
    /// Vendor ID, 16 bits.
    pub const VENDOR_ID: u16 = 0x00;
    /// Device ID, 16 bits.
    pub const DEVICE_ID: u16 = 0x02;
    /// Command, 16 bits: see [`Command`](super::Command).
    pub const COMMAND: u16 = 0x04;
    /// Status, 16 bits.
    pub const STATUS: u16 = 0x06;
    /// Revision ID, 8 bits; the class code follows.
    pub const REVISION_ID: u16 = 0x08;
    /// Programming interface, 8 bits: the class code's lowest byte.
    pub const CLASS_CODE: u16 = 0x09;
    /// Cache Line Size, 8 bits.
    pub const CACHE_LINE_SIZE: u16 = 0x0c;
    /// The first of six base address registers, 32 bits each.
    pub const BAR0: u16 = 0x10;
    /// Subsystem Vendor ID, 16 bits.
    pub const SUBSYSTEM_VENDOR_ID: u16 = 0x2c;
    /// Subsystem ID, 16 bits.
    pub const SUBSYSTEM_ID: u16 = 0x2e;
    /// Interrupt Line, 8 bits.
    pub const INTERRUPT_LINE: u16 = 0x3c;
}

/// Number of dwords in the header.
pub(crate) const DWORDS: usize = 16;

/// Dword index of the register that holds Command and Status.
pub(crate) const COMMAND_DWORD: usize = 1;

/// Dword index of BAR0.
pub(crate) const BAR0_DWORD: usize = 4;

/// Status bit 4, in the dword shared with Command: a capability list exists.
pub(crate) const STATUS_CAPABILITIES_LIST: u32 = 1 << (16 + 4);

/// Dword index of the Capabilities Pointer.
pub(crate) const CAPABILITIES_DWORD: usize = 13;

bitflags! {
    /// The Command register (PCI 3.0 table 6-1).
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Command: u16 {
        /// Respond to memory accesses.
        const MEMORY_SPACE = 1 << 1;
        /// May act as a bus master.
        const BUS_MASTER = 1 << 2;
        /// Take the normal action on a parity error.
        const PARITY_ERROR_RESPONSE = 1 << 6;
        /// Enable the SERR# driver.
        const SERR_ENABLE = 1 << 8;
        /// Do not assert INTx#.
        const INTERRUPT_DISABLE = 1 << 10;
    }
}

/// What a function's header says; everything else in it reads 0.
#[derive(Debug, Clone, Copy)]
pub struct Header {
    /// Vendor ID.
    pub vendor_id: PciId,
    /// Device ID.
    pub device_id: PciId,
    /// Revision ID.
    pub revision: u8,
    /// Class code, 24 bits: base class, subclass, programming interface.
    pub class_code: u32,
    /// Subsystem Vendor ID.
    pub subsystem_vendor_id: PciId,
    /// Subsystem ID.
    pub subsystem_id: PciId,
}

impl Header {
    /// The header's registers with their access rights, without BARs and
    /// capability list. Latency Timer, Header Type (single function) and BIST
    /// are 0; the function uses no interrupt pin.
    pub(crate) fn registers(&self, bars: &[MemoryBar]) -> [ConfigRegister; DWORDS] {
        const RO: ConfigRegister = ConfigRegister::UNIMPLEMENTED;
        const CACHE_LINE_SIZE: u32 = 0xff;
        const INTERRUPT_LINE: u32 = 0xff;

        let bar = |index| {
            bars.iter()
                .find(|bar| bar.index == index)
                .map_or(RO, |bar| bar.register())
        };
        [
            /* 0x00 */ ids(self.vendor_id, self.device_id),
            /* 0x04 */ ConfigRegister::new(0, u32::from(Command::all().bits())),
            /* 0x08 */
            ConfigRegister::read_only((self.class_code << 8) | u32::from(self.revision)),
            /* 0x0c */ ConfigRegister::new(0, CACHE_LINE_SIZE),
            /* 0x10 */ bar(0),
            /* 0x14 */ bar(1),
            /* 0x18 */ bar(2),
            /* 0x1c */ bar(3),
            /* 0x20 */ bar(4),
            /* 0x24 */ bar(5),
            /* 0x28 Cardbus CIS */ RO,
            /* 0x2c */ ids(self.subsystem_vendor_id, self.subsystem_id),
            /* 0x30 expansion ROM */ RO,
            /* 0x34 capabilities pointer, set with the list */ RO,
            /* 0x38 */ RO,
            /* 0x3c */ ConfigRegister::new(INTERRUPT_LINE, INTERRUPT_LINE),
        ]
    }
}

/// A dword of two ids: vendor low, device high.
fn ids(vendor: PciId, device: PciId) -> ConfigRegister {
    let (vendor, device) = (u16::from(vendor), u16::from(device));
    ConfigRegister::read_only((u32::from(device) << 16) | u32::from(vendor))
}
