//! What the worker does that is there to try a channel: no engine, no program.
//!
//! Each op is a record of the command ring; integers are u32 and u64 words, little-endian, in the order given. An answer has
//! status 0; another status, where the record is malformed, or names memory that there is not. A record without a slot is
//! done all the same, and has no answer.
//!
//! | op | payload | answer |
//! |---|---|---|
//! | [`ECHO`] | any bytes, up to what an answer holds in its slot | the same bytes |
//! | [`HASH`] | region u32, 0 u32, offset u64, length u64 | [`hash`] of the words there, a u64 |
//! | [`FILL`] | region u32, 0 u32, offset u64, length u64, seed u64 | the same of what is there then |
//! | [`PINGPONG`] | offset u64 in the arena, rounds u64 | the rounds that were done, a u64 |
//!
//! Offsets and lengths are in bytes and multiples of 8, lengths up to [`LONGEST`]. [`FILL`] puts [`word`] `(seed, i)` in word
//! `i`, counted from the region's start.
//!
//! For [`PINGPONG`] there are two words, each on a line of [`LINE`] bytes of its own: the guest's at the offset, a multiple of
//! [`LINE`], and the host's behind. Both are 0 when the record is sent. In round `n`, from 1 on, the guest stores `n` in its
//! word, and the host, which looks at nothing else meanwhile, stores `n` in its own once it reads that. After
//! [`PINGPONG_LIMIT`], or where the guest's word is neither `n - 1` nor `n`, the host gives up, and answers with the rounds
//! so far.

use std::time::Duration;

pub use vgpu_ring::layout::LINE;

/// Gives its payload back.
pub const ECHO: u16 = 1;
/// Reads memory of a region.
pub const HASH: u16 = 2;
/// Writes it.
pub const FILL: u16 = 3;
/// Passes a word to and fro, as fast as memory does: what a round trip is held against.
pub const PINGPONG: u16 = 4;

/// The most bytes that a [`HASH`] or [`FILL`] is of.
pub const LONGEST: usize = 1 << 20;

/// How long a [`PINGPONG`] may take.
pub const PINGPONG_LIMIT: Duration = Duration::from_secs(2);

/// The hash of no words.
pub const EMPTY: u64 = 0xcbf2_9ce4_8422_2325;

/// The hash with one more word: FNV-1a, of words in place of bytes.
#[must_use]
#[inline]
pub const fn hash_with(hash: u64, word: u64) -> u64 {
    (hash ^ word).wrapping_mul(0x0100_0000_01b3)
}

/// The hash of words.
pub fn hash(words: impl IntoIterator<Item = u64>) -> u64 {
    words.into_iter().fold(EMPTY, hash_with)
}

/// Word `index` of what a seed stands for: splitmix64 of their sum.
#[must_use]
#[inline]
pub const fn word(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_add(index).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

/// The words of a payload: of a [`HASH`]; a [`FILL`] has its seed behind.
#[must_use]
pub const fn range(region: u32, offset: u64, length: u64) -> [u64; 3] {
    [region as u64, offset, length]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first two outputs of splitmix64 with state 0, as its reference implementation has them: the second adds the
    /// constant once more.
    #[test]
    fn words_are_those_of_splitmix64() {
        assert_eq!(word(0, 0), 0xe220_a839_7b1d_cdaf);
        assert_eq!(word(0x9e37_79b9_7f4a_7c15, 0), 0x6e78_9e6a_a1b9_65f4);
        assert_eq!(word(7, 5), word(12, 0));
        assert_eq!(word(u64::MAX, 1), word(0, 0));
    }

    /// FNV-1a of the byte "a", as published, is that of a word with the same value.
    #[test]
    fn a_hash_is_fnv_1a() {
        assert_eq!(hash([]), EMPTY);
        assert_eq!(hash([0x61]), 0xaf63_dc4c_8601_ec8c);
        assert_ne!(hash([1, 2]), hash([2, 1]));
    }
}
