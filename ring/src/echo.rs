//! Commands of a service that proves a session: what is sent comes back, and both sides can say what memory holds.
//!
//! | command | payload | answer |
//! |---|---|---|
//! | [`ECHO`] | any bytes | as many of them as fit a reply slot ([`INLINE_REPLY`](crate::layout::INLINE_REPLY)), with the zeros behind them |
//! | [`HASH`] | [`Range`] | the [`hash`] of its words, a u64 |
//! | [`FILL`] | [`Fill`] | the same, once its words are [`word`] by their places |
//!
//! The status of an answer is 0, or [`WRONG`] where the command, its payload or its range is none.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Sends the payload back.
pub const ECHO: u16 = 1;
/// Hashes memory.
pub const HASH: u16 = 2;
/// Fills memory, and hashes it.
pub const FILL: u16 = 3;

/// The status of what cannot be done.
pub const WRONG: i32 = 1;

/// The most bytes that a command may hash or fill: none takes long.
pub const LONGEST: u64 = 1 << 20;

/// A range of a region, in bytes: both numbers are multiples of 8.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Range {
    /// The region; 0 is the whole slice.
    pub region: u32,
    /// 0.
    pub reserved: u32,
    /// Where it begins, from the region's start.
    pub offset: u64,
    /// How long it is, at most [`LONGEST`].
    pub length: u64,
}

/// A range, and what to fill it with.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Fill {
    /// Where.
    pub range: Range,
    /// Tells patterns apart.
    pub seed: u64,
}

impl Range {
    /// Its words among so many; `None` where it is no range of them.
    #[must_use]
    pub fn words(&self, count: usize) -> Option<core::ops::Range<usize>> {
        let whole = self.offset.is_multiple_of(8) && self.length.is_multiple_of(8);
        let end = self.offset.checked_add(self.length)? / 8;
        let end = usize::try_from(end).ok().filter(|&end| end <= count)?;
        let first = usize::try_from(self.offset / 8).ok()?;
        (whole && self.length <= LONGEST && self.reserved == 0).then_some(first..end)
    }
}

/// FNV-1a over 64-bit words instead of bytes.
#[must_use]
pub fn hash(words: impl IntoIterator<Item = u64>) -> u64 {
    let step = |hash, word| (hash ^ word) * core::num::Wrapping(0x100_0000_01b3);
    let words = words.into_iter().map(core::num::Wrapping);
    words
        .fold(core::num::Wrapping(0xcbf2_9ce4_8422_2325), step)
        .0
}

/// The word at a place of a pattern: SplitMix64 of `seed` plus the place, which counts words from the region's start.
#[must_use]
pub const fn word(seed: u64, place: u64) -> u64 {
    let mixed = seed.wrapping_add(place).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first values of SplitMix64 with seed 1234567 (Rosetta Code), and FNV-1a where each word is a byte.
    #[test]
    fn the_functions_are_the_known_ones() {
        assert_eq!(word(1_234_567, 0), 6_457_827_717_110_365_317);
        assert_eq!(
            word(1_234_567_u64.wrapping_add(0x9e37_79b9_7f4a_7c15), 0),
            3_203_168_211_198_807_973
        );
        assert_eq!(word(3, 4), word(7, 0));
        assert_eq!(hash([]), 0xcbf2_9ce4_8422_2325);
        assert_eq!(hash(b"foobar".map(u64::from)), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn a_range_is_of_words_that_there_are() {
        let words = |offset, length| {
            let range = Range {
                offset,
                length,
                ..Range::default()
            };
            range.words(1 << 20)
        };
        assert_eq!(words(16, 24), Some(2..5));
        assert_eq!(words(8 << 20, 0), Some(1 << 20..1 << 20));
        assert_eq!(words(7 << 20, LONGEST), Some(7 << 17..8 << 17));
        for (offset, length) in [
            (4, 8),
            (8, 4),
            (8 << 20, 8),
            (0, LONGEST + 8),
            (!7, 8),
            (!7, 16),
            (8, !7),
        ] {
            assert_eq!(words(offset, length), None, "{offset:#x} {length:#x}");
        }
        let reserved = Range {
            reserved: 1,
            length: 8,
            ..Range::default()
        };
        assert_eq!(reserved.words(1), None);
    }
}
