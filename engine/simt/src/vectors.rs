//! `.v2` and `.v4` of lanes that lie side by side: what they have is one piece.

use crate::around::Around;
use crate::halves::{ALL, index, place};
use crate::instruction::{Instruction, Operand, Space};
use crate::pattern::{HALF, Pattern};
use crate::value::LANES;
use crate::warp::Warp;

/// The most elements of such an access.
const MOST: usize = 4;

/// Loads words of 32 bits; false where they are to be loaded otherwise.
#[inline(always)]
pub(crate) fn load(
    warp: &mut Warp,
    i: &Instruction,
    mask: u32,
    at: u32,
    around: &mut Around<'_, '_>,
) -> bool {
    let count = usize::from(i.modifiers.count);
    // What is narrower than its register is extended elsewhere.
    let wide = |operand: &Operand| matches!(operand, Operand::Wide(_));
    if count > MOST || i.operands[..count].iter().any(wide) {
        return false;
    }
    let mut values = [[0u32; LANES]; MOST];
    for half in (0..2).filter(|half| mask >> (half * HALF) & ALL != 0) {
        let mut words = [0; MOST * HALF];
        let Some(first) = beside(warp, i, half) else {
            return false;
        };
        let words = &mut words[..count * HALF];
        let done = match i.modifiers.space {
            Space::Global | Space::Generic => around
                .find(at, first, 4 * words.len() as u64)
                .map(|(from, offset)| from.load_words(offset, words)),
            Space::Shared => index(first)
                .and_then(|index| around.words(warp.slot).get(index..)?.get(..words.len()))
                .map(|from| words.copy_from_slice(from)),
            _ => None,
        };
        if done.is_none() {
            return false;
        }
        for (element, values) in values[..count].iter_mut().enumerate() {
            for lane in 0..HALF {
                values[half * HALF + lane] = words[lane * count + element];
            }
        }
    }
    for (element, values) in values[..count].iter().enumerate() {
        warp.state.write(i.operands[element], values, mask);
    }
    true
}

/// As [`load`], the other way.
#[inline(always)]
pub(crate) fn store(
    warp: &mut Warp,
    i: &Instruction,
    mask: u32,
    at: u32,
    around: &mut Around<'_, '_>,
) -> bool {
    let count = usize::from(i.modifiers.count);
    if count > MOST {
        return false;
    }
    let mut values = [[0u32; LANES]; MOST];
    for (element, values) in values[..count].iter_mut().enumerate() {
        *values = warp.state.read(i.operands[element]);
    }
    for half in (0..2).filter(|half| mask >> (half * HALF) & ALL != 0) {
        let mut words = [0; MOST * HALF];
        let Some(first) = beside(warp, i, half) else {
            return false;
        };
        let words = &mut words[..count * HALF];
        for (element, values) in values[..count].iter().enumerate() {
            for lane in 0..HALF {
                words[lane * count + element] = values[half * HALF + lane];
            }
        }
        let done = match i.modifiers.space {
            Space::Global | Space::Generic => around
                .find(at, first, 4 * words.len() as u64)
                .map(|(to, offset)| to.store_words(offset, words)),
            Space::Shared => index(first)
                .and_then(|index| {
                    let to = around.words_mut(warp.slot);
                    to.get_mut(index..)?.get_mut(..words.len())
                })
                .map(|to| to.copy_from_slice(words)),
            _ => None,
        };
        if done.is_none() {
            return false;
        }
    }
    true
}

/// Where the vectors of half a warp begin, if they lie side by side, aligned.
#[inline(always)]
fn beside(warp: &Warp, i: &Instruction, half: usize) -> Option<u64> {
    let size = 4 * u64::from(i.modifiers.count);
    let (pattern, first) = place::<HALF>(&warp.state, i, half * HALF, size);
    (pattern == Pattern::SideBySide && first & (size - 1) == 0).then_some(first)
}
