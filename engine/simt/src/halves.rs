//! The addresses of a warp, or of half of it.

use crate::instruction::{Instruction, Operand};
use crate::pattern::{HALF, Pattern, WORD, pattern, patterns};
use crate::state::State;
use crate::value::{LANES, Rows};

/// All lanes of half a warp.
pub(crate) const ALL: u32 = u32::MAX >> HALF;

/// The addresses of `N` lanes from `first` on.
#[inline(always)]
pub(crate) fn addresses<const N: usize>(state: &State, i: &Instruction, first: usize) -> [u64; N] {
    let mut to = [0; N];
    let offset = state.offset(i);
    match i.operands[i.operands.len() - 1] {
        Operand::Wide(index) => {
            let row = &state.wide_at(index)[first..][..N];
            for lane in 0..N {
                to[lane] = row[lane].wrapping_add(offset);
            }
        }
        Operand::Narrow(index) => {
            let row = &state.narrow_at(index)[first..][..N];
            for lane in 0..N {
                to[lane] = u64::from(row[lane]).wrapping_add(offset);
            }
        }
        _ => {}
    }
    to
}

/// The most rows of addresses that are looked at when a warp begins.
pub(crate) const ROWS_MAX: usize = 64;

/// Looks at rows that stay for a launch.
pub(crate) fn look(state: &mut State, rows: &[Operand]) {
    let patterns = rows.iter().map(|row| patterns(&state.read(*row))).collect();
    state.patterns = patterns;
}

/// How the addresses of `N` lanes from `first` on lie, `step` bytes from one to the next where they are side by side; and
/// the first of them. What is added to all of them is not looked at in each.
#[inline(always)]
pub(crate) fn place<const N: usize>(
    state: &State,
    i: &Instruction,
    first: usize,
    step: u64,
) -> (Pattern, u64) {
    let offset = state.offset(i);
    let known = (state.patterns.get((i.row as usize).wrapping_sub(1)))
        .filter(|_| step == WORD)
        .map(|patterns| patterns[if N == LANES { 0 } else { 1 + first / HALF }]);
    match i.operands[i.operands.len() - 1] {
        Operand::Wide(index) => match state.wide_at(index)[first..].first_chunk::<N>() {
            Some(row) => {
                let pattern = known.unwrap_or_else(|| pattern(row, step));
                (pattern, row[0].wrapping_add(offset))
            }
            None => (Pattern::Other, 0),
        },
        Operand::Narrow(index) => match state.narrow_at(index)[first..].first_chunk::<N>() {
            Some(row) => {
                let pattern = known.unwrap_or_else(|| pattern(row, step));
                (pattern, u64::from(row[0]).wrapping_add(offset))
            }
            None => (Pattern::Other, 0),
        },
        Operand::Bits(address) => (Pattern::Same, address.wrapping_add(offset)),
        _ => (Pattern::Other, 0),
    }
}

/// Whether a mask has all or none of each half.
#[inline(always)]
pub(crate) fn in_halves(mask: u32) -> bool {
    let part = |half: usize| mask >> (half * HALF) & ALL;
    [0, 1]
        .into_iter()
        .all(|half| part(half) == 0 || part(half) == ALL)
}

/// The word of shared memory at `address`, a multiple of 4, as an index.
#[inline(always)]
pub(crate) fn index(address: u64) -> Option<usize> {
    let address = address as u32;
    (address & 3 == 0).then_some(address as usize >> 2)
}
