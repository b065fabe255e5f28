//! How a guest names memory that it shares: a list of segments in its own memory.
//!
//! A *directory* is a chain of pages. Each begins with a [`Directory`], which says how many segments follow it, and where the
//! next page is. A segment is one word. With [`crate::features::SEGMENT_ADDRESS`] it is the address of 2^n pages in a row, a
//! multiple of [`PAGE`], with n in its low [`ORDER_BITS`] bits; the memory of a region is its segments one after the other.
//!
//! The host reads each page once, and then once more: a directory that changes meanwhile is refused. What it has agreed to is
//! its own copy.

#![allow(
    missing_debug_implementations,
    reason = "zerocopy's derives make types of fields of a macro"
)]

use crate::bar0::MAGIC_VALUE;

constants! { CONSTANTS, "VGPU_SEGMENT_";
    /// Bytes of a page: of a directory, and the grain of segments.
    PAGE: u64 = 4096;
    /// What a page of a directory begins with.
    MAGIC: u32 = MAGIC_VALUE;
    /// Low bits of a segment that hold the logarithm of its pages.
    ORDER_BITS: u32 = 12;
    /// The largest logarithm: segments of at most 1 GiB.
    ORDER_MAX: u32 = 18;
    /// Segments that find room in a page of a directory.
    PER_PAGE: u32 = (PAGE as u32 - size_of::<Directory>() as u32) / 8;
    /// Pieces of memory that a region, or all of a device's, may have once neighbours are joined.
    PIECES_MAX: u32 = 16_384;
    /// Pages that a directory may have: enough for as many segments.
    PAGES_MAX: u32 = PIECES_MAX.div_ceil(PER_PAGE);
}

structures! { STRUCTURES;
    /// What each page of a directory begins with; the segments follow, a u64 each.
    Directory as "vgpu_directory" {
        /// [`MAGIC`].
        magic: u32,
        /// Segments in this page: 1 to [`PER_PAGE`].
        count: u32,
        /// Address of the next page, or 0.
        next: u64,
    }
}

/// A segment, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Its first address, a multiple of [`PAGE`].
    pub address: u64,
    /// Its bytes: a power of two, from [`PAGE`] on.
    pub length: u64,
}

impl Segment {
    /// Takes a word apart; `None` where it is no segment, or reaches past the last address.
    #[must_use]
    pub const fn from_word(word: u64) -> Option<Self> {
        let order = (word & ((1 << ORDER_BITS) - 1)) as u32;
        if order > ORDER_MAX {
            return None;
        }
        let (address, length) = (word >> ORDER_BITS << ORDER_BITS, PAGE << order);
        match address.checked_add(length) {
            Some(_) => Some(Self { address, length }),
            None => None,
        }
    }

    /// The word of 2^`order` pages at `address`; `None` where there is no such segment.
    #[must_use]
    pub const fn word(address: u64, order: u32) -> Option<u64> {
        let word = address | order as u64;
        match Self::from_word(word) {
            Some(segment) if segment.address == address && order <= ORDER_MAX => Some(word),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_an_address_and_a_logarithm() {
        let word = Segment::word(0x1234_5000, 9).unwrap();
        let segment = Segment::from_word(word).unwrap();
        assert_eq!((segment.address, segment.length), (0x1234_5000, 2 << 20));
    }

    #[test]
    fn what_is_no_segment_is_none() {
        for (address, order) in [(0x1000, ORDER_MAX + 1), (0x800, 0), (!0xfff, 1)] {
            assert_eq!(Segment::word(address, order), None, "{address:#x} {order}");
        }
        assert_eq!(Segment::from_word(0x1fff), None);
        // The last page ends where addresses do.
        assert_eq!(Segment::from_word(!0xfff), None);
    }
}
