//! The 256 bytes of a function's configuration space.

use std::ops::Range;

use thiserror::Error;

use crate::capability::saved::{self, HEADER};
use crate::capability::{Capability, CapabilityList, CapabilityState, MOST_STATE};
use crate::header::{
    BAR0_DWORD, CAPABILITIES_DWORD, COMMAND_DWORD, DWORDS, STATUS_CAPABILITIES_LIST,
};
use crate::{Changes, Command, ConfigRegister, Header, MemoryBar, dword};

/// Bytes that [`ConfigSpace`] implements. On an express bus a function has
/// 4096 bytes; those above read 0, so no extended capability is found.
pub const SIZE: usize = 256;

/// Where the capability list starts: right after the header.
const FIRST_CAPABILITY: usize = 0x40;

/// A saved config space that is not one of such a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RestoreError {
    /// A saved value does not fit its register.
    #[error(
        "saved config space has {saved:#010x} at offset {offset:#04x}, where this device has {own:#010x} in read-only bits"
    )]
    Register {
        /// Byte offset of the first dword that differs.
        offset: usize,
        /// Its saved value.
        saved: u32,
        /// The value here.
        own: u32,
    },
    /// A section of the capabilities' state belongs to no capability here, or
    /// that one does not accept it.
    #[error("saved state of a capability at offset {offset:#04x} is none of this device's")]
    Capability {
        /// The capability's byte offset in config space.
        offset: u8,
    },
    /// The capabilities' state is no list of sections.
    #[error("saved state of capabilities is cut short")]
    Damaged,
}

/// Where a capability is.
#[derive(Debug)]
struct Place {
    dwords: Range<usize>,
    /// Byte offset of the first of them.
    offset: u8,
}

/// A type-0 configuration space.
///
/// Reads and writes take any offset and length; bytes that nothing implements
/// read 0 and ignore writes (PCI 3.0 section 6.1).
///
/// `C` is the device's own type with the capabilities of the function.
#[derive(Debug)]
pub struct ConfigSpace<C> {
    registers: [ConfigRegister; SIZE / 4],
    bars: Vec<MemoryBar>,
    capabilities: C,
    /// Where each of them is.
    places: Vec<Place>,
}

impl<C: CapabilityList> ConfigSpace<C> {
    /// Builds the config space of a function: header, BARs, and the
    /// capabilities linked in their order, from offset 0x40.
    ///
    /// # Panics
    ///
    /// If the capabilities need more than the 192 bytes there are, or one has
    /// more saved state than it may. What a function has is fixed when it is
    /// written, so that is a defect of the device, not of its input.
    #[must_use]
    pub fn new(header: &Header, bars: &[MemoryBar], capabilities: C) -> Self {
        let mut registers: Vec<ConfigRegister> = header.registers(bars).to_vec();
        let mut places: Vec<Place> = Vec::new();
        for capability in capabilities.iter() {
            let state = state_size(capability);
            assert!(
                state <= MOST_STATE,
                "a capability with {state} bytes of state"
            );
            let start = registers.len();
            let own = capability.registers();
            // The pointer to this capability: in the header for the first,
            // in the one before for the others.
            let (pointer, shift) = places
                .last()
                .map_or((CAPABILITIES_DWORD, 0), |last| (last.dwords.start, 8));
            // What is past the config space panics below.
            let offset = u8::try_from(start.saturating_mul(4)).unwrap_or(u8::MAX);
            let link = u32::from(offset) << shift;
            set_field(&mut registers, pointer, 0xff << shift, link);
            registers.extend(own);
            let id = u32::from(capability.id());
            set_field(&mut registers, start, 0xffff, id);
            places.push(Place {
                dwords: start..registers.len(),
                offset,
            });
        }
        if !places.is_empty() {
            let bit = STATUS_CAPABILITIES_LIST;
            set_field(&mut registers, COMMAND_DWORD, bit, bit);
        }
        assert!(
            registers.len() <= SIZE / 4,
            "capabilities end at {:#x}, past the config space",
            registers.len().saturating_mul(4)
        );
        registers.resize(SIZE / 4, ConfigRegister::UNIMPLEMENTED);
        Self {
            registers: std::array::from_fn(|i| registers.get(i).copied().unwrap_or_default()),
            bars: bars.to_vec(),
            capabilities,
            places,
        }
    }

    /// The capabilities, by the names and types that the device gives them.
    pub fn capabilities(&self) -> &C {
        &self.capabilities
    }

    /// The same, to be changed.
    pub fn capabilities_mut(&mut self) -> &mut C {
        &mut self.capabilities
    }

    /// Fills `data` with the bytes at `offset`.
    pub fn read(&self, offset: u16, data: &mut [u8]) {
        dword::read(offset, data, |index| self.dword(index));
    }

    /// Writes `data` at `offset`, as far as the bits there are writable.
    pub fn write(&mut self, offset: u16, data: &[u8]) -> Changes {
        let before = (self.command(), self.bar_values());
        let mut changes = Changes::NONE;
        for (index, write) in dword::writes(offset, data) {
            let Some(register) = self.registers.get_mut(index) else {
                break;
            };
            register.write(write);
            let mut placed = self.places.iter().zip(self.capabilities.iter_mut());
            if let Some((place, capability)) =
                placed.find(|(place, _)| place.dwords.contains(&index))
            {
                let register = index.saturating_sub(place.dwords.start);
                changes = changes.and(capability.written(register, write));
            }
        }
        changes.and(self.changes_since(before))
    }

    /// Puts every register, and what capabilities hold beside theirs, back to
    /// its power-on value.
    pub fn reset(&mut self) -> Changes {
        let before = (self.command(), self.bar_values());
        for register in &mut self.registers {
            register.reset();
        }
        for capability in self.capabilities.iter_mut() {
            reset(capability);
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
            self.registers
                .get(index)
                .map_or(0, ConfigRegister::writable)
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

    /// How many bytes [`Self::save_capabilities`] writes.
    #[must_use]
    pub fn capabilities_size(&self) -> usize {
        let sizes = self.capabilities.iter().map(state_size);
        sizes.filter(|size| *size > 0).fold(0, |sum, size| {
            sum.saturating_add(HEADER).saturating_add(size)
        })
    }

    /// Writes what capabilities hold beside their registers to the start of
    /// `into`, with each of them its length; nothing where none holds anything.
    /// Returns whether there was room for all.
    #[must_use]
    pub fn save_capabilities(&self, into: &mut [u8]) -> bool {
        let mut left = into;
        for (place, capability) in self.places.iter().zip(self.capabilities.iter()) {
            let Some(held) = capability.state().filter(|held| held.size() > 0) else {
                continue;
            };
            let begun = saved::begin(left, place.offset, capability.id(), held.size());
            let Some((state, rest)) = begun else {
                return false;
            };
            held.save(state);
            left = rest;
        }
        true
    }

    /// Takes over the values of a saved config space, and what its capabilities
    /// held beside their registers, as [`Self::save_capabilities`] wrote it;
    /// zeros may follow. A capability of which nothing was saved is reset.
    ///
    /// # Errors
    ///
    /// If they are those of another device: registers differ in a bit that is
    /// read-only here, or a capability does not accept its state. Then nothing
    /// is changed.
    pub fn restore(
        &mut self,
        saved: &[u32; SIZE / 4],
        capabilities: &[u8],
    ) -> Result<Changes, RestoreError> {
        for (index, (own, &saved)) in self.registers.iter().zip(saved).enumerate() {
            if !own.can_hold(saved) {
                return Err(RestoreError::Register {
                    offset: index.saturating_mul(4),
                    saved,
                    own: own.value(),
                });
            }
        }
        for section in saved::sections(capabilities) {
            let section = section.map_err(|_| RestoreError::Damaged)?;
            let offset = section.offset;
            let mut placed = self.places.iter().zip(self.capabilities.iter());
            placed
                .find(|(place, _)| place.offset == offset)
                .filter(|(_, it)| it.id() == section.id && accepts(*it, section.state))
                .ok_or(RestoreError::Capability { offset })?;
        }
        let before = (self.command(), self.bar_values());
        for (register, &saved) in self.registers.iter_mut().zip(saved) {
            register.set(saved);
        }
        for (place, capability) in self.places.iter().zip(self.capabilities.iter_mut()) {
            let mut sections = saved::sections(capabilities).flatten();
            match sections.find(|section| section.offset == place.offset) {
                Some(section) => {
                    if let Some(held) = capability.state_mut() {
                        held.restore(section.state);
                    }
                }
                None => reset(capability),
            }
        }
        Ok(self.changes_since(before))
    }

    fn dword(&self, index: usize) -> u32 {
        self.registers.get(index).map_or(0, ConfigRegister::value)
    }

    fn bar_values(&self) -> [u32; 6] {
        std::array::from_fn(|bar| self.dword(BAR0_DWORD.saturating_add(bar)))
    }

    fn changes_since(&self, (command, bars): (Command, [u32; 6])) -> Changes {
        let switched = self.command().symmetric_difference(command);
        Changes {
            bar_mapping: switched.contains(Command::MEMORY_SPACE) || self.bar_values() != bars,
            bus_master: switched.contains(Command::BUS_MASTER),
            function_level_reset: false,
        }
    }
}

/// How many bytes of saved state a capability has beside its registers.
fn state_size(capability: &dyn Capability) -> usize {
    capability.state().map_or(0, CapabilityState::size)
}

/// Whether a capability can have held this.
fn accepts(capability: &dyn Capability, state: &[u8]) -> bool {
    capability
        .state()
        .map_or(state.is_empty(), |held| held.accepts(state))
}

/// Puts what a capability holds beside its registers back to power-on.
fn reset(capability: &mut dyn Capability) {
    if let Some(held) = capability.state_mut() {
        held.reset();
    }
}

/// Makes the bits in `mask` of the register at `index` read-only, as in `bits`.
fn set_field(registers: &mut [ConfigRegister], index: usize, mask: u32, bits: u32) {
    if let Some(register) = registers.get_mut(index) {
        *register = register.with_field(mask, bits);
    }
}

const _: () = assert!(DWORDS * 4 == FIRST_CAPABILITY);
