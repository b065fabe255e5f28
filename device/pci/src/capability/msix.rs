//! The MSI-X capability (PCI 3.0 section 6.8.2): where the table of vectors is, and whether it is in force.
//!
//! Table and pending bits lie in a BAR, and are whoever's has the BAR: most virtual machine monitors lay their own over them.

use super::{Capability, CapabilityState};
use crate::{Changes, ConfigRegister, DwordWrite};

/// MSI-X with its table and pending bits in BAR0.
#[derive(Debug, Clone, Copy)]
pub struct Msix {
    vectors: u16,
    table: u32,
    pending: u32,
}

/// Bits of Message Control, the upper half of the first dword.
mod bits {
    /// All vectors are masked.
    pub(super) const FUNCTION_MASK: u32 = 1 << 30;
    /// The function may send messages.
    pub(super) const ENABLE: u32 = 1 << 31;
}

impl Msix {
    /// Size in bytes.
    pub const SIZE: u16 = 12;

    /// `vectors` of them, 1 to 2048; byte offsets in BAR0 of the table and of the pending bits, multiples of 8.
    ///
    /// # Panics
    ///
    /// If they are not. What a function has is fixed when it is written.
    #[must_use]
    pub const fn new(vectors: u16, table: u32, pending: u32) -> Self {
        assert!(vectors >= 1 && vectors <= 2048, "vectors of MSI-X");
        assert!(
            table.is_multiple_of(8) && pending.is_multiple_of(8),
            "alignment of MSI-X"
        );
        Self {
            vectors,
            table,
            pending,
        }
    }
}

impl Capability for Msix {
    fn id(&self) -> u8 {
        0x11
    }

    fn registers(&self) -> Vec<ConfigRegister> {
        let size = u32::from(self.vectors).wrapping_sub(1) << 16;
        vec![
            /* 0x00 message control */
            ConfigRegister::new(size, bits::ENABLE | bits::FUNCTION_MASK),
            // The low bits are the BAR's index.
            /* 0x04 table */
            ConfigRegister::read_only(self.table),
            /* 0x08 pending bits */ ConfigRegister::read_only(self.pending),
        ]
    }

    fn written(&mut self, _: usize, _: DwordWrite) -> Changes {
        Changes::NONE
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
    fn its_registers_say_where_the_table_is() {
        let registers = Msix::new(2, 0xc00, 0xe00).registers();
        let values: Vec<_> = registers.iter().map(ConfigRegister::value).collect();
        assert_eq!(values, [1 << 16, 0xc00, 0xe00]);
        assert_eq!(registers.len() * 4, usize::from(Msix::SIZE));
        assert_eq!(registers[0].writable(), 0xc000_0000);
    }
}
