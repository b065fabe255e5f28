//! Half a warp, and how its addresses lie.

use crate::instruction::{Instruction, Operand};
use crate::state::State;
use crate::value::{LANES, Rows};

/// Lanes that are looked at together.
pub(crate) const HALF: usize = LANES / 2;
/// All of them.
pub(crate) const ALL: u32 = u32::MAX >> HALF;

/// How the addresses of a warp, or of half of it, lie to each other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pattern {
    Same,
    SideBySide,
    Other,
}

/// The addresses of `N` lanes from `first` on.
#[inline(always)]
pub(crate) fn addresses<const N: usize>(state: &State, i: &Instruction, first: usize) -> [u64; N] {
    let mut to = [0; N];
    match i.operands[i.operands.len() - 1] {
        Operand::Wide(index) => {
            let row = &state.wide_at(index)[first..][..N];
            for lane in 0..N {
                to[lane] = row[lane].wrapping_add_signed(i.offset);
            }
        }
        Operand::Narrow(index) => {
            let row = &state.narrow_at(index)[first..][..N];
            for lane in 0..N {
                to[lane] = u64::from(row[lane]).wrapping_add_signed(i.offset);
            }
        }
        _ => {}
    }
    to
}

/// Whether a whole warp's words may lie side by side, or be one: the first and the last lane tell most that do not.
#[inline(always)]
pub(crate) fn may_be_row(state: &State, i: &Instruction) -> bool {
    let [first] = addresses(state, i, 0);
    let [last] = addresses(state, i, LANES - 1);
    matches!(last.wrapping_sub(first), 0 | ROW)
}

/// Bytes from the first word of a row to its last.
const ROW: u64 = 4 * (LANES as u64 - 1);

#[inline(always)]
pub(crate) fn pattern<const N: usize>(addresses: &[u64; N], step: u64) -> Pattern {
    let first = addresses[0];
    // The last one says what it can be, and the others whether it is.
    let (found, step) = match addresses[N - 1].wrapping_sub(first) {
        0 => (Pattern::Same, 0),
        length if length == step * (N as u64 - 1) => (Pattern::SideBySide, step),
        _ => return Pattern::Other,
    };
    let mut apart = 0;
    for (lane, address) in addresses.iter().enumerate() {
        apart |= address ^ first.wrapping_add(step * lane as u64);
    }
    match apart {
        0 => found,
        _ => Pattern::Other,
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
