//! The 256 bytes of a function's configuration space.

use std::ops::Range;

use bitflags::bitflags;
use thiserror::Error;

use crate::capability::Capability;
use crate::header::{
    BAR0_DWORD, CAPABILITIES_DWORD, COMMAND_DWORD, DWORDS, STATUS_CAPABILITIES_LIST,
};
use crate::{Command, Header, MemoryBar, Register, dword};

/// Bytes that [`ConfigSpace`] implements. On an express bus a function has
/// 4096 bytes; those above read 0, so no extended capability is found.
pub const SIZE: usize = 256;

/// Where the capability list starts: right after the header.
const FIRST_CAPABILITY: usize = 0x40;

bitflags! {
    /// What a write changed beyond the registers themselves.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    #[must_use]
    pub struct Changes: u8 {
        /// A BAR was moved, or memory decode switched: ask
        /// [`ConfigSpace::bar_range`] anew.
        const BAR_MAPPING = 1 << 0;
        /// Bus mastering was switched.
        const BUS_MASTER = 1 << 1;
        /// Software asked for a function level reset. The config space has
        /// not reset itself: the owner resets it with the rest of the device.
        const FUNCTION_LEVEL_RESET = 1 << 2;
    }
}

/// A saved value does not fit the config space it is restored to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "saved config space has {saved:#010x} at offset {offset:#04x}, where this device has {own:#010x} in read-only bits"
)]
pub struct RestoreError {
    /// Byte offset of the first dword that differs.
    pub offset: usize,
    /// Its saved value.
    pub saved: u32,
    /// The value here.
    pub own: u32,
}

/// A capability and the dwords it occupies.
#[derive(Debug)]
struct Placed {
    dwords: Range<usize>,
    capability: Box<dyn Capability>,
}

/// A type-0 configuration space.
///
/// Reads and writes take any offset and length; bytes that nothing implements
/// read 0 and ignore writes (PCI 3.0 section 6.1).
#[derive(Debug)]
pub struct ConfigSpace {
    registers: [Register; SIZE / 4],
    bars: Vec<MemoryBar>,
    capabilities: Vec<Placed>,
}

impl ConfigSpace {
    /// Builds the config space of a function: header, BARs, and the
    /// capabilities linked in the order given, from offset 0x40.
    ///
    /// # Panics
    ///
    /// If the capabilities need more than the 192 bytes there are. What a
    /// function has is fixed when it is written, so that is a defect of the
    /// device, not of its input.
    #[must_use]
    pub fn new(
        header: &Header,
        bars: &[MemoryBar],
        capabilities: Vec<Box<dyn Capability>>,
    ) -> Self {
        let mut registers: Vec<Register> = header.registers(bars).to_vec();
        let mut placed: Vec<Placed> = Vec::new();
        for capability in capabilities {
            let start = registers.len();
            let own = capability.registers();
            // The pointer to this capability: in the header for the first,
            // in the one before for the others.
            let (pointer, shift) = placed
                .last()
                .map_or((CAPABILITIES_DWORD, 0), |last| (last.dwords.start, 8));
            let offset = u32::try_from(start.saturating_mul(4)).unwrap_or(u32::MAX);
            set_field(&mut registers, pointer, 0xff << shift, offset << shift);
            registers.extend(own);
            let id = u32::from(capability.id());
            set_field(&mut registers, start, 0xffff, id);
            placed.push(Placed {
                dwords: start..registers.len(),
                capability,
            });
        }
        if !placed.is_empty() {
            let bit = STATUS_CAPABILITIES_LIST;
            set_field(&mut registers, COMMAND_DWORD, bit, bit);
        }
        assert!(
            registers.len() <= SIZE / 4,
            "capabilities end at {:#x}, past the config space",
            registers.len().saturating_mul(4)
        );
        registers.resize(SIZE / 4, Register::UNIMPLEMENTED);
        Self {
            registers: std::array::from_fn(|i| registers.get(i).copied().unwrap_or_default()),
            bars: bars.to_vec(),
            capabilities: placed,
        }
    }

    /// Fills `data` with the bytes at `offset`.
    pub fn read(&self, offset: u16, data: &mut [u8]) {
        dword::read(offset, data, |index| self.dword(index));
    }

    /// Writes `data` at `offset`, as far as the bits there are writable.
    pub fn write(&mut self, offset: u16, data: &[u8]) -> Changes {
        let before = (self.command(), self.bar_values());
        let mut changes = Changes::empty();
        for (index, write) in dword::writes(offset, data) {
            let Some(register) = self.registers.get_mut(index) else {
                break;
            };
            register.write(write);
            if let Some(placed) = self
                .capabilities
                .iter_mut()
                .find(|placed| placed.dwords.contains(&index))
            {
                let register = index.saturating_sub(placed.dwords.start);
                changes |= placed.capability.written(register, write);
            }
        }
        changes | self.changes_since(before)
    }

    /// Puts every register back to its power-on value.
    pub fn reset(&mut self) -> Changes {
        let before = (self.command(), self.bar_values());
        for register in &mut self.registers {
            register.reset();
        }
        self.changes_since(before)
    }

    /// The Command register.
    #[must_use]
    pub fn command(&self) -> Command {
        let [low, high, ..] = self.dword(COMMAND_DWORD).to_le_bytes();
        Command::from_bits_truncate(u16::from_le_bytes([low, high]))
    }

    /// The guest-physical addresses that BAR `index` decodes now; `None` while
    /// memory decode is off, while the BAR holds no usable address, and for a
    /// BAR that the function does not have.
    #[must_use]
    pub fn bar_range(&self, index: u8) -> Option<Range<u64>> {
        let bar = self.bars.iter().find(|bar| bar.index == index)?;
        let value = self.dword(BAR0_DWORD.saturating_add(usize::from(index)));
        self.command()
            .contains(Command::MEMORY_SPACE)
            .then(|| bar.decoded(value))
            .flatten()
    }

    /// The bits that software may change, for the `data.len()` bytes at
    /// `offset`.
    pub fn write_mask(&self, offset: u16, data: &mut [u8]) {
        dword::read(offset, data, |index| {
            self.registers.get(index).map_or(0, Register::writable)
        });
    }

    /// The value of every dword.
    #[must_use]
    pub fn save(&self) -> [u32; SIZE / 4] {
        let mut values = [0; SIZE / 4];
        for (value, register) in values.iter_mut().zip(&self.registers) {
            *value = register.value();
        }
        values
    }

    /// Takes over the values of a saved config space.
    ///
    /// # Errors
    ///
    /// If they differ in a bit that is read-only here: then they are another
    /// device's, and nothing is changed.
    pub fn restore(&mut self, saved: &[u32; SIZE / 4]) -> Result<Changes, RestoreError> {
        for (index, (own, &saved)) in self.registers.iter().zip(saved).enumerate() {
            if !own.can_hold(saved) {
                return Err(RestoreError {
                    offset: index.saturating_mul(4),
                    saved,
                    own: own.value(),
                });
            }
        }
        let before = (self.command(), self.bar_values());
        for (register, &saved) in self.registers.iter_mut().zip(saved) {
            register.set(saved);
        }
        Ok(self.changes_since(before))
    }

    fn dword(&self, index: usize) -> u32 {
        self.registers.get(index).map_or(0, Register::value)
    }

    fn bar_values(&self) -> [u32; 6] {
        std::array::from_fn(|bar| self.dword(BAR0_DWORD.saturating_add(bar)))
    }

    fn changes_since(&self, (command, bars): (Command, [u32; 6])) -> Changes {
        let switched = self.command().symmetric_difference(command);
        let mut changes = Changes::empty();
        if switched.contains(Command::MEMORY_SPACE) || self.bar_values() != bars {
            changes |= Changes::BAR_MAPPING;
        }
        if switched.contains(Command::BUS_MASTER) {
            changes |= Changes::BUS_MASTER;
        }
        changes
    }
}

/// Makes the bits in `mask` of the register at `index` read-only, as in `bits`.
fn set_field(registers: &mut [Register], index: usize, mask: u32, bits: u32) {
    if let Some(register) = registers.get_mut(index) {
        *register = register.with_field(mask, bits);
    }
}

const _: () = assert!(DWORDS * 4 == FIRST_CAPABILITY);
