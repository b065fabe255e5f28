//! One dword of config space.

use crate::DwordWrite;

/// A 32-bit register: its value, what it is after reset, and which of its
/// bits software may change. A bit outside the write mask is read-only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConfigRegister {
    value: u32,
    reset: u32,
    writable: u32,
}

impl ConfigRegister {
    /// A register that nothing implements: reads 0, ignores writes
    /// (PCI 3.0 section 6.1).
    pub const UNIMPLEMENTED: Self = Self::read_only(0);

    /// A register that software cannot change.
    #[must_use]
    pub const fn read_only(value: u32) -> Self {
        Self::new(value, 0)
    }

    /// A register that is `reset` after power-on, whose bits in `writable`
    /// software may change.
    #[must_use]
    pub const fn new(reset: u32, writable: u32) -> Self {
        Self {
            value: reset,
            reset,
            writable,
        }
    }

    /// The same register with the bits in `mask` read-only and as in `bits`.
    #[must_use]
    pub(crate) const fn with_field(self, mask: u32, bits: u32) -> Self {
        Self::new((self.reset & !mask) | bits, self.writable & !mask)
    }

    /// What a read returns.
    #[must_use]
    pub const fn value(&self) -> u32 {
        self.value
    }

    /// The bits that software may change.
    #[must_use]
    pub const fn writable(&self) -> u32 {
        self.writable
    }

    /// Takes the enabled and writable bits of `write`.
    pub(crate) const fn write(&mut self, write: DwordWrite) {
        let taken = write.enables() & self.writable;
        self.value = (self.value & !taken) | (write.value() & taken);
    }

    pub(crate) const fn reset(&mut self) {
        self.value = self.reset;
    }

    /// Whether `value` is one that this register can hold.
    pub(crate) const fn can_hold(&self, value: u32) -> bool {
        (value ^ self.reset) & !self.writable == 0
    }

    /// Takes over a value that the register can hold.
    pub(crate) const fn set(&mut self, value: u32) {
        self.value = value;
    }
}
