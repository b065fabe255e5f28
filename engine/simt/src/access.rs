//! `ld` and `st` of several warps.
//!
//! Most often lanes access words side by side, or all the same one. Half a warp
//! that does so is one check and one copy; whatever else comes goes lane by
//! lane, in [`execution`](crate::execution).

use crate::around::Around;
use crate::execution::bytes;
use crate::fault::Failure;
use crate::halves::{ALL, HALF, Pattern, addresses, in_halves, index, pattern};
use crate::instruction::{Instruction, Operand, Space};
use crate::value::{LANES, extend};
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
    if let Some(value) = parameter(i, around.parameters) {
        let narrow = matches!(i.operands[0], Operand::Narrow(_));
        for (warp, mask) in warps.iter_mut().zip(masks) {
            match narrow {
                true => warp.state.write(i.operands[0], &[value as u32; LANES], *mask),
                false => warp.state.write(i.operands[0], &[value; LANES], *mask),
            }
        }
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
    let Operand::Narrow(_) = i.operands[0] else {
        return false;
    };
    let mut values = [0; LANES];
    for half in 0..2 {
        if mask >> (half * HALF) & ALL == 0 {
            continue;
        }
        let to = &mut values[half * HALF..][..HALF];
        let addresses = addresses(&warp.state, i, half);
        let done = match space {
            Space::Global | Space::Generic => global(&addresses, to, at, around),
            Space::Shared => of_shared(&addresses, to, around.words(warp.slot)),
            _ => None,
        };
        if done.is_none() {
            return false;
        }
    }
    warp.state.write(i.operands[0], &values, mask);
    true
}

/// The value of a parameter that all lanes load.
#[inline(always)]
fn parameter(i: &Instruction, parameters: &[u8]) -> Option<u64> {
    let Operand::Bits(address) = i.operands[i.operands.len() - 1] else {
        return None;
    };
    let address = address.wrapping_add_signed(i.offset);
    let ty = i.modifiers.types[0];
    let size = u64::from(ty.size());
    let end = address.checked_add(size)?;
    let there = end <= parameters.len() as u64 && address & (size - 1) == 0;
    let here = i.modifiers.space == Space::Parameter && i.modifiers.count == 1;
    (there && here).then(|| extend(bytes(parameters, address as usize, ty.size()), ty))
}

#[inline(always)]
fn global(
    addresses: &[u64; HALF],
    to: &mut [u32],
    at: u32,
    around: &mut Around<'_, '_>,
) -> Option<()> {
    let pattern = pattern(addresses, 4);
    let length = match pattern {
        Pattern::SideBySide => 4 * HALF as u64,
        _ => 4,
    };
    let (from, offset) = around.find(at, addresses[0], length)?;
    if !offset.is_multiple_of(4) {
        return None;
    }
    match pattern {
        Pattern::Same => to.fill(from.load_32(offset)),
        Pattern::SideBySide => from.load_words(offset, to),
        Pattern::Other => {
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
        }
    }
    Some(())
}

#[inline(always)]
fn of_shared(addresses: &[u64; HALF], to: &mut [u32], memory: &[u32]) -> Option<()> {
    match pattern(addresses, 4) {
        Pattern::Same => to.fill(*memory.get(index(addresses[0])?)?),
        Pattern::SideBySide => {
            let from = memory.get(index(addresses[0])?..)?.get(..HALF)?;
            to.copy_from_slice(from);
        }
        Pattern::Other => {
            for (to, address) in to.iter_mut().zip(addresses) {
                *to = *memory.get(index(*address)?)?;
            }
        }
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
    let values: [u32; LANES] = warp.state.read(i.operands[0]);
    for half in 0..2 {
        if mask >> (half * HALF) & ALL == 0 {
            continue;
        }
        let values = &values[half * HALF..][..HALF];
        let addresses = addresses(&warp.state, i, half);
        let done = match (space, pattern(&addresses, 4)) {
            (Space::Global | Space::Generic, Pattern::SideBySide) => around
                .find(at, addresses[0], 4 * HALF as u64)
                .filter(|(_, offset)| offset.is_multiple_of(4))
                .map(|(to, offset)| to.store_words(offset, values)),
            (Space::Shared, Pattern::SideBySide) => index(addresses[0])
                .and_then(|index| {
                    around
                        .words_mut(warp.slot)
                        .get_mut(index..)?
                        .get_mut(..HALF)
                })
                .map(|to| to.copy_from_slice(values)),
            (Space::Shared, Pattern::Other) => {
                to_shared(&addresses, values, around.words_mut(warp.slot))
            }
            _ => None,
        };
        if done.is_none() {
            return false;
        }
    }
    true
}

#[inline(always)]
fn to_shared(addresses: &[u64; HALF], values: &[u32], memory: &mut [u32]) -> Option<()> {
    for (address, value) in addresses.iter().zip(values) {
        *memory.get_mut(index(*address)?)? = *value;
    }
    Some(())
}
