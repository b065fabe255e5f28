//! What QEMU does with the config space of a device that it reaches by vfio.

use vgpu_pci::capability::PortType;

use crate::Identity;
use crate::reference::Dword;

/// Bits of config space for which QEMU answers itself.
#[derive(Debug, Clone, Copy)]
pub struct EmulatedBits {
    /// The dword's offset.
    pub offset: u16,
    /// The bits of it.
    pub bits: u32,
    /// Of which devices.
    pub of: &'static [Option<PortType>],
    /// What QEMU answers.
    pub answer: Answer,
    /// Why it does.
    pub reason: &'static str,
}

/// What QEMU answers for bits that it emulates.
#[derive(Debug, Clone, Copy)]
pub enum Answer {
    /// Its own copy: as the device would, but for a function level reset, of
    /// which QEMU does not know.
    Copy,
    /// 0, whatever is written.
    Zero,
    /// The device's own registers, as on a root bus: QEMU only takes them out
    /// of the list of capabilities. What they read, and what may be written.
    Unlinked {
        /// After reset.
        reset: u32,
        /// The bits that the guest may change.
        writable: u32,
    },
}

const EVERY: &[Option<PortType>] = &[
    Some(PortType::Endpoint),
    Some(PortType::RootComplexIntegratedEndpoint),
    None,
];
const BEHIND_PORT: &[Option<PortType>] = &[Some(PortType::Endpoint)];
const CONVENTIONAL: &[Option<PortType>] = &[None];

/// All bits in which a device that QEMU reaches by vfio differs from the same
/// device in QEMU itself (QEMU, `hw/vfio/pci.c`).
pub const EMULATED_FOR_VFIO: &[EmulatedBits] = &[
    EmulatedBits {
        offset: 0x10,
        bits: 0xffff_ffff,
        of: EVERY,
        answer: Answer::Copy,
        reason: "BAR0: QEMU maps it by its own copy of the register",
    },
    EmulatedBits {
        offset: 0x7c,
        bits: 0xc000_0000,
        of: EVERY,
        answer: Answer::Copy,
        reason: "MSI-X Message Control: QEMU delivers by its own copy of the register",
    },
    EmulatedBits {
        offset: 0x4c,
        bits: 1 << 22,
        of: BEHIND_PORT,
        answer: Answer::Zero,
        reason: "Link Capabilities, ASPM optionality: QEMU makes up the link of an integrated endpoint",
    },
    EmulatedBits {
        offset: 0x50,
        bits: 0xffff_ffff,
        of: BEHIND_PORT,
        answer: Answer::Zero,
        reason: "Link Control and Status: the link that QEMU makes up has none",
    },
    EmulatedBits {
        offset: 0x6c,
        bits: 0xffff_ffff,
        of: BEHIND_PORT,
        answer: Answer::Zero,
        reason: "Link Capabilities 2: the device's own, which as an integrated endpoint has no link",
    },
    EmulatedBits {
        offset: 0x04,
        bits: 1 << 20,
        of: CONVENTIONAL,
        answer: unlinked(1 << 20, 0),
        reason: "Status, capability list: QEMU makes the list empty, and leaves the bit",
    },
    EmulatedBits {
        offset: 0x40,
        bits: 0xffff_ffff,
        of: CONVENTIONAL,
        answer: unlinked(0x0092_0010, 0x0000_ff00),
        reason: "PCI Express Capabilities: the device's own, in no list; the pointer to the next capability is QEMU's, and storage",
    },
    EmulatedBits {
        offset: 0x44,
        bits: 0xffff_ffff,
        of: CONVENTIONAL,
        answer: unlinked(0x1000_8000, 0),
        reason: "Device Capabilities: the same",
    },
    EmulatedBits {
        offset: 0x48,
        bits: 0xffff_ffff,
        of: CONVENTIONAL,
        answer: unlinked(0, 0x0000_000f),
        reason: "Device Control: the same",
    },
];

const fn unlinked(reset: u32, writable: u32) -> Answer {
    Answer::Unlinked { reset, writable }
}

impl EmulatedBits {
    pub(crate) fn apply(&self, dword: &mut Dword) {
        match self.answer {
            Answer::Copy => dword.kept |= self.bits,
            Answer::Zero => {
                dword.reset &= !self.bits;
                dword.writable &= !self.bits;
            }
            Answer::Unlinked { reset, writable } => {
                dword.reset = (dword.reset & !self.bits) | (reset & self.bits);
                dword.writable = (dword.writable & !self.bits) | (writable & self.bits);
            }
        }
    }
}

impl Identity {
    /// The bits that QEMU emulates for this device.
    pub fn emulated(&self) -> impl Iterator<Item = &'static EmulatedBits> {
        let Self {
            by_vfio, port_type, ..
        } = *self;
        EMULATED_FOR_VFIO
            .iter()
            .filter(move |bits| by_vfio && bits.of.contains(&port_type))
    }
}
