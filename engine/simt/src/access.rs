//! `ld` and `st` of several warps.
//!
//! Most often lanes access words side by side, or all the same one. A warp that does so, or half of it, is one check and
//! one copy; whatever else comes goes lane by lane, in [`execution`](crate::execution).

use crate::around::Around;
use crate::execution::bytes;
use crate::fault::Failure;
use crate::halves::{ALL, addresses, in_halves, index, place};
use crate::instruction::{Instruction, Operand, Space};
use crate::pattern::{HALF, Pattern, WORD};
use crate::value::{LANES, Rows, extend};
use crate::vectors;
use crate::warp::Warp;
use crate::wide::versions;

versions! {
/// Loads for the lanes of each warp's mask.
pub(crate) fn load<'a, 'm>(
    warps: &mut [Warp],
    i: &Instruction,
    masks: &[u32],
    at: u32,
    around: &mut Around<'a, 'm>,
) -> Result<(), (usize, Failure)> {
    if load_parameter(warps, i, masks, around.parameters) {
        return Ok(());
    }
    for (number, (warp, mask)) in warps.iter_mut().zip(masks).enumerate() {
        if *mask != 0 && !quick_load(warp, i, *mask, at, around) {
            around.execution(warp).load(i, *mask).map_err(|failure| (number, failure))?;
        }
    }
    Ok(())
}
}

versions! {
/// Stores for the lanes of each warp's mask.
pub(crate) fn store<'a, 'm>(
    warps: &mut [Warp],
    i: &Instruction,
    masks: &[u32],
    at: u32,
    around: &mut Around<'a, 'm>,
) -> Result<(), (usize, Failure)> {
    for (number, (warp, mask)) in warps.iter_mut().zip(masks).enumerate() {
        if *mask != 0 && !quick_store(warp, i, *mask, at, around) {
            around.execution(warp).store(i, *mask).map_err(|failure| (number, failure))?;
        }
    }
    Ok(())
}
}

/// Words of 32 bits for lanes of whole halves; false where they are to be
/// loaded otherwise.
#[inline(always)]
fn quick_load(
    warp: &mut Warp,
    i: &Instruction,
    mask: u32,
    at: u32,
    around: &mut Around<'_, '_>,
) -> bool {
    let ty = i.modifiers.types[0];
    let space = i.modifiers.space;
    if ty.size() != 4 || !in_halves(mask) {
        return false;
    }
    if i.modifiers.count > 1 {
        return vectors::load(warp, i, mask, at, around);
    }
    let Operand::Narrow(register) = i.operands[0] else {
        return false;
    };
    if mask == u32::MAX {
        let (pattern, first) = place::<LANES>(&warp.state, i, 0, WORD);
        if pattern != Pattern::Other {
            let slot = warp.slot;
            let to = warp.state.narrow_at_mut(register);
            return load_row(space, pattern, first, to, slot, at, around).is_some();
        }
    }
    let mut values = [0; LANES];
    for half in 0..2 {
        if mask >> (half * HALF) & ALL == 0 {
            continue;
        }
        let Some(to) = values[half * HALF..].first_chunk_mut() else {
            return false;
        };
        let lanes = half * HALF;
        let done = match (space, place::<HALF>(&warp.state, i, lanes, WORD)) {
            (Space::Global | Space::Generic, (Pattern::Other, _)) => {
                gather(&addresses(&warp.state, i, lanes), to, at, around)
            }
            (Space::Shared, (Pattern::Other, _)) => {
                let addresses = addresses(&warp.state, i, lanes);
                of_shared(&addresses, to, around.words(warp.slot))
            }
            (_, (pattern, first)) => load_row(space, pattern, first, to, warp.slot, at, around),
        };
        if done.is_none() {
            return false;
        }
    }
    warp.state.write(i.operands[0], &values, mask);
    true
}

/// Loads a parameter that is the same for all lanes; false where it is none.
#[inline(always)]
pub(crate) fn load_parameter(
    warps: &mut [Warp],
    i: &Instruction,
    masks: &[u32],
    parameters: &[u8],
) -> bool {
    let Some(at) = parameter(i, parameters.len()) else {
        return false;
    };
    let ty = i.modifiers.types[0];
    let value = extend(bytes(parameters, at, ty.size()), ty);
    let narrow = matches!(i.operands[0], Operand::Narrow(_));
    for (warp, mask) in warps.iter_mut().zip(masks) {
        match narrow {
            true => warp
                .state
                .write(i.operands[0], &[value as u32; LANES], *mask),
            false => warp.state.write(i.operands[0], &[value; LANES], *mask),
        }
    }
    true
}

/// Where of `length` bytes the parameter is that all lanes load.
#[inline(always)]
pub(crate) fn parameter(i: &Instruction, length: usize) -> Option<usize> {
    let Operand::Bits(address) = i.operands[i.operands.len() - 1] else {
        return None;
    };
    let address = address.wrapping_add_signed(i.offset);
    let size = u64::from(i.modifiers.types[0].size());
    let end = address.checked_add(size)?;
    let there = end <= length as u64 && address & (size - 1) == 0;
    let here = i.modifiers.space == Space::Parameter && i.modifiers.count == 1;
    (there && here).then_some(address as usize)
}

/// One word, or words side by side, from `first` on.
#[inline(always)]
fn load_row<const N: usize>(
    space: Space,
    pattern: Pattern,
    first: u64,
    to: &mut [u32; N],
    slot: usize,
    at: u32,
    around: &mut Around<'_, '_>,
) -> Option<()> {
    let same = pattern == Pattern::Same;
    match space {
        Space::Global | Space::Generic => {
            let (from, offset) = around.find(at, first, if same { 4 } else { 4 * N as u64 })?;
            match same {
                _ if !offset.is_multiple_of(4) => return None,
                true => *to = [from.load_32(offset); N],
                false => from.load_row(offset, to),
            }
        }
        Space::Shared => {
            let from = around.words(slot).get(index(first)?..)?;
            *to = match same {
                true => [*from.first()?; N],
                false => *from.first_chunk()?,
            };
        }
        _ => return None,
    }
    Some(())
}

#[inline(always)]
fn gather(
    addresses: &[u64; HALF],
    to: &mut [u32; HALF],
    at: u32,
    around: &mut Around<'_, '_>,
) -> Option<()> {
    let (from, _) = around.find(at, addresses[0], 4)?;
    let (base, limit) = (from.base(), from.size() - 4);
    let mut wrong = 0;
    for address in addresses {
        let offset = address.wrapping_sub(base);
        wrong |= u64::from(offset > limit) | offset & 3;
    }
    if wrong != 0 {
        return None;
    }
    for (to, address) in to.iter_mut().zip(addresses) {
        *to = from.load_32(address.wrapping_sub(base));
    }
    Some(())
}

#[inline(always)]
fn of_shared(addresses: &[u64; HALF], to: &mut [u32; HALF], memory: &[u32]) -> Option<()> {
    for (to, address) in to.iter_mut().zip(addresses) {
        *to = *memory.get(index(*address)?)?;
    }
    Some(())
}

/// As [`quick_load`], the other way.
#[inline(always)]
fn quick_store(
    warp: &mut Warp,
    i: &Instruction,
    mask: u32,
    at: u32,
    around: &mut Around<'_, '_>,
) -> bool {
    let space = i.modifiers.space;
    let register = matches!(
        i.operands[i.operands.len() - 1],
        Operand::Wide(_) | Operand::Narrow(_)
    );
    if i.modifiers.types[0].size() != 4 || !in_halves(mask) || !register {
        return false;
    }
    if i.modifiers.count > 1 {
        return vectors::store(warp, i, mask, at, around);
    }
    let slot = warp.slot;
    if let (u32::MAX, Operand::Narrow(register)) = (mask, i.operands[0]) {
        let (pattern, first) = place::<LANES>(&warp.state, i, 0, WORD);
        if pattern == Pattern::SideBySide {
            let values = warp.state.narrow_at(register);
            return store_row(space, first, values, slot, at, around).is_some();
        }
    }
    let values: [u32; LANES] = warp.state.read(i.operands[0]);
    for half in 0..2 {
        if mask >> (half * HALF) & ALL == 0 {
            continue;
        }
        let Some(values) = values[half * HALF..].first_chunk() else {
            return false;
        };
        let done = match (space, place::<HALF>(&warp.state, i, half * HALF, WORD)) {
            (_, (Pattern::SideBySide, first)) => store_row(space, first, values, slot, at, around),
            (Space::Shared, (Pattern::Other, _)) => {
                let addresses = addresses(&warp.state, i, half * HALF);
                to_shared(&addresses, values, around.words_mut(slot))
            }
            _ => None,
        };
        if done.is_none() {
            return false;
        }
    }
    true
}

/// Words side by side, from `first` on.
#[inline(always)]
fn store_row<const N: usize>(
    space: Space,
    first: u64,
    values: &[u32; N],
    slot: usize,
    at: u32,
    around: &mut Around<'_, '_>,
) -> Option<()> {
    match space {
        Space::Global | Space::Generic => {
            let (to, offset) = around.find(at, first, 4 * N as u64)?;
            if !offset.is_multiple_of(4) {
                return None;
            }
            to.store_row(offset, values);
        }
        Space::Shared => {
            let to = around.words_mut(slot).get_mut(index(first)?..)?;
            *to.first_chunk_mut()? = *values;
        }
        _ => return None,
    }
    Some(())
}

#[inline(always)]
fn to_shared(addresses: &[u64; HALF], values: &[u32; HALF], memory: &mut [u32]) -> Option<()> {
    for (address, value) in addresses.iter().zip(values) {
        *memory.get_mut(index(*address)?)? = *value;
    }
    Some(())
}
