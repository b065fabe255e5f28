//! Commands of a service that proves a session: what is sent comes back, and both sides can say what memory holds.
//!
//! | command | payload | answer |
//! |---|---|---|
//! | [`ECHO`] | any bytes | as many of them as fit a reply slot ([`INLINE_REPLY`](crate::layout::INLINE_REPLY)), with the zeros behind them |
//! | [`HASH`] | [`Range`] | the [`hash`] of its words, a u64 |
//! | [`FILL`] | [`Fill`] | the same, once its words are [`word`] by their places |
//! | [`PINGPONG`] | [`PingPong`] | the rounds that were done, a u64 |
//!
//! The status of an answer is 0, or [`WRONG`] where the command, its payload or its range is none. A command without a slot
//! is done all the same.
//!
//! For [`PINGPONG`] there are two words, each on a line of [`LINE`] bytes of its own: the guest's at the offset, the host's on
//! the next line. Both are 0 when the command is sent. In round `n`, from 1 on, the guest stores `n` in its word, and the
//! host, which looks at nothing else meanwhile, stores `n` in its own once it reads that. After [`PINGPONG_LIMIT`], or where
//! the guest's word is neither `n - 1` nor `n`, the host gives up, and answers with the rounds so far.

use core::time::Duration;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

pub use crate::layout::LINE;

/// Sends the payload back.
pub const ECHO: u16 = 1;
/// Hashes memory.
pub const HASH: u16 = 2;
/// Fills memory, and hashes it.
pub const FILL: u16 = 3;
/// Passes a word to and fro, as fast as memory does: what a round trip is held against.
pub const PINGPONG: u16 = 4;

/// The status of what cannot be done.
pub const WRONG: i32 = 1;

/// The most bytes that a command may hash or fill: none takes long.
pub const LONGEST: u64 = 1 << 20;

/// How long a [`PINGPONG`] may take.
pub const PINGPONG_LIMIT: Duration = Duration::from_secs(2);

/// The [`hash`] of no words.
pub const EMPTY: u64 = 0xcbf2_9ce4_8422_2325;

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

/// Where a word is passed to and fro, and how often.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct PingPong {
    /// Of the guest's word in the arena, in bytes: a multiple of [`LINE`].
    pub offset: u64,
    /// How many rounds.
    pub rounds: u64,
}

impl PingPong {
    /// The places of the guest's word and the host's among so many of the arena; `None` where they are not there.
    #[must_use]
    pub fn words(&self, count: usize) -> Option<(usize, usize)> {
        let guest = usize::try_from(self.offset).ok()?;
        let host = guest.checked_add(LINE)?;
        (guest.is_multiple_of(LINE) && host / 8 < count).then_some((guest / 8, host / 8))
    }
}

impl Range {
    /// Its words in a payload; a [`Fill`] has its seed behind them.
    #[must_use]
    pub const fn payload(region: u32, offset: u64, length: u64) -> [u64; 3] {
        [region as u64, offset, length]
    }

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

/// The [`hash`] of words with one more: FNV-1a over 64-bit words instead of bytes.
#[must_use]
#[inline]
pub const fn hash_with(hash: u64, word: u64) -> u64 {
    (hash ^ word).wrapping_mul(0x100_0000_01b3)
}

/// The hash of words.
#[must_use]
pub fn hash(words: impl IntoIterator<Item = u64>) -> u64 {
    words.into_iter().fold(EMPTY, hash_with)
}

/// The word at a place of a pattern: SplitMix64 of `seed` plus the place, which counts words from the region's start.
#[must_use]
#[inline]
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
        assert_eq!(hash([]), EMPTY);
        assert_eq!(hash(b"foobar".map(u64::from)), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn the_words_of_a_ping_pong_are_on_two_lines_of_the_arena() {
        let words = |offset, count| PingPong { offset, rounds: 1 }.words(count);
        assert_eq!(words(0, 17), Some((0, 16)));
        assert_eq!(words(256, 64), Some((32, 48)));
        for (offset, count) in [
            (0, 16),
            (8, 64),
            (256, 48),
            (u64::MAX - 127, 64),
            (u64::MAX, 64),
        ] {
            assert_eq!(words(offset, count), None, "{offset:#x} {count}");
        }
    }

    #[test]
    fn a_payload_is_a_range() {
        let payload = Range::payload(3, 16, 24);
        let range = Range::read_from_bytes(payload.as_bytes()).unwrap();
        let same = Range {
            region: 3,
            reserved: 0,
            offset: 16,
            length: 24,
        };
        assert_eq!(range, same);
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
