//! What QEMU does with the config space of a device that it reaches by vfio.

use crate::Identity;
use crate::reference::Dword;

/// Bits of config space for which QEMU answers itself.
#[derive(Debug, Clone, Copy)]
pub struct EmulatedBits {
    /// The dword's offset.
    pub offset: u16,
    /// The bits of it.
    pub bits: u32,
    /// Whether only so behind a port.
    pub behind_port: bool,
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
}

/// All bits in which a device that QEMU reaches by vfio differs from the same
/// device in QEMU itself (QEMU, `hw/vfio/pci.c`).
pub const EMULATED_FOR_VFIO: &[EmulatedBits] = &[
    EmulatedBits {
        offset: 0x10,
        bits: 0xffff_ffff,
        behind_port: false,
        answer: Answer::Copy,
        reason: "BAR0: QEMU maps it by its own copy of the register",
    },
    EmulatedBits {
        offset: 0x4c,
        bits: 1 << 22,
        behind_port: true,
        answer: Answer::Zero,
        reason: "Link Capabilities, ASPM optionality: QEMU makes up the link of an integrated endpoint",
    },
    EmulatedBits {
        offset: 0x50,
        bits: 0xffff_ffff,
        behind_port: true,
        answer: Answer::Zero,
        reason: "Link Control and Status: the link that QEMU makes up has none",
    },
    EmulatedBits {
        offset: 0x6c,
        bits: 0xffff_ffff,
        behind_port: true,
        answer: Answer::Zero,
        reason: "Link Capabilities 2: the device's own, which as an integrated endpoint has no link",
    },
];

impl EmulatedBits {
    pub(crate) fn apply(&self, dword: &mut Dword) {
        match self.answer {
            Answer::Copy => dword.kept |= self.bits,
            Answer::Zero => {
                dword.reset &= !self.bits;
                dword.writable &= !self.bits;
            }
        }
    }
}

impl Identity {
    /// The bits that QEMU emulates for this device.
    pub fn emulated(&self) -> impl Iterator<Item = &'static EmulatedBits> {
        let Self {
            by_vfio,
            on_root_bus,
            ..
        } = *self;
        EMULATED_FOR_VFIO
            .iter()
            .filter(move |bits| by_vfio && !(bits.behind_port && on_root_bus))
    }
}
