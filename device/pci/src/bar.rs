//! Base address registers (PCI 3.0 section 6.2.5.1).

use std::ops::Range;

use thiserror::Error;

use crate::ConfigRegister;

/// The size of a 32-bit memory BAR in bytes: a power of two from 16 bytes to
/// 2 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BarSize(u32);

/// A BAR decodes a naturally aligned power of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{0:#x} is no size of a memory BAR; use a power of two of at least 16 bytes")]
pub struct InvalidBarSize(u32);

impl TryFrom<u32> for BarSize {
    type Error = InvalidBarSize;

    fn try_from(size: u32) -> Result<Self, InvalidBarSize> {
        if size.is_power_of_two() && size >= 16 {
            Ok(Self(size))
        } else {
            Err(InvalidBarSize(size))
        }
    }
}

impl BarSize {
    /// The size in bytes.
    #[must_use]
    pub const fn bytes(self) -> u32 {
        self.0
    }

    /// The address bits that software may change: those above the size. All
    /// other bits read 0, which is how software finds the size.
    const fn address_mask(self) -> u32 {
        self.0.wrapping_neg()
    }
}

/// A 32-bit, non-prefetchable memory BAR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryBar {
    /// Which of the six BARs, 0 to 5.
    pub index: u8,
    /// How much address space it decodes.
    pub size: BarSize,
}

impl MemoryBar {
    /// The BAR's register after reset: address 0, memory space, 32-bit.
    pub(crate) const fn register(self) -> ConfigRegister {
        ConfigRegister::new(0, self.size.address_mask())
    }

    /// The guest-physical addresses that the BAR decodes while its register
    /// holds `value` and memory decode is on.
    ///
    /// `None` for address 0 and for ranges that end with the address space:
    /// there a BAR stands after reset and while it is sized. QEMU's
    /// `pci_bar_address()` treats both alike.
    pub(crate) fn decoded(self, value: u32) -> Option<Range<u64>> {
        let start = u64::from(value & self.size.address_mask());
        let end = start.saturating_add(u64::from(self.size.0));
        (start != 0 && end <= u64::from(u32::MAX)).then_some(start..end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_two() {
        for size in [16, 4096, 16 << 20, 1 << 31] {
            assert_eq!(BarSize::try_from(size).map(BarSize::bytes), Ok(size));
        }
        for size in [0, 1, 8, 17, 4095, 4097, 0x3000, u32::MAX] {
            assert_eq!(BarSize::try_from(size), Err(InvalidBarSize(size)));
        }
    }

    #[test]
    fn no_range_at_zero_nor_at_the_end() {
        let bar = MemoryBar {
            index: 0,
            size: BarSize(4096),
        };
        assert_eq!(bar.decoded(0), None);
        assert_eq!(bar.decoded(0xffff_f000), None);
        assert_eq!(bar.decoded(0xffff_e000), Some(0xffff_e000..0xffff_f000));
        assert_eq!(bar.decoded(0xfebf_1000), Some(0xfebf_1000..0xfebf_2000));
    }
}
