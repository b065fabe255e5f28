//! How the addresses of a warp, or of half of it, lie to each other.

use crate::value::{LANES, Lane};

/// Lanes that are looked at together, where not all are.
pub(crate) const HALF: usize = LANES / 2;

/// Bytes from a word to the next.
pub(crate) const WORD: u64 = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pattern {
    Same,
    SideBySide,
    Other,
}

/// How words at the addresses of a row lie: in all lanes, and in each half.
pub(crate) type Patterns = [Pattern; 3];

/// Of one row.
pub(crate) fn patterns(row: &[u64; LANES]) -> Patterns {
    let (low, high) = row.split_at(HALF);
    let half = |half: &[u64]| match half.first_chunk::<HALF>() {
        Some(half) => pattern(half, WORD),
        None => Pattern::Other,
    };
    [pattern(row, WORD), half(low), half(high)]
}

/// Of `N` lanes, `step` bytes from one to the next where they are side by side.
#[inline(always)]
pub(crate) fn pattern<L: Lane, const N: usize>(row: &[L; N], step: u64) -> Pattern {
    // The last one says what it can be, and the others whether it is.
    match row[N - 1].wide().wrapping_sub(row[0].wide()) {
        0 if apart(row, 0) == 0 => Pattern::Same,
        length if length == step * (N as u64 - 1) && apart(row, step) == 0 => Pattern::SideBySide,
        _ => Pattern::Other,
    }
}

/// 0 where each is `step` above the one before. A step that is known makes a row of constants.
#[inline(always)]
fn apart<L: Lane, const N: usize>(row: &[L; N], step: u64) -> u64 {
    let first = row[0].wide();
    let mut apart = 0;
    for (lane, address) in row.iter().enumerate() {
        apart |= address.wide().wrapping_sub(first) ^ (step * lane as u64);
    }
    apart
}
