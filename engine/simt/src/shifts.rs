//! Registers that differ from block to block by a number that all lanes have.
//!
//! Most of what kernels compute is where their data lie: `(block · size + thread) · 4 + buffer`. Such a sum is one row of
//! lanes, which a launch decides, and a number, which the block decides: its *shift*. The rows are computed when a warp
//! begins with a launch, as if for block 0, whose shifts are 0 ([`invariant`](crate::invariant)); a block's shifts are
//! computed once for all of its warps, and added where the register is read, most often to the address of an access.
//!
//! That holds as long as numbers only wrap around where the instructions do. Where a sum of 32 bits is extended to 64, it
//! must not; a block in which it would gets rows of its own, and no shifts.

use std::ops::RangeInclusive;

use crate::instruction::Operand;
use crate::linear::Factor;
use crate::value::{LANES, lanes};
use crate::warp::Warp;

/// The most of a kernel: what each block has to compute.
pub(crate) const SHIFTS_MAX: usize = 64;

/// What a source adds to a shift.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Term {
    /// It is the same in each block.
    Nothing,
    /// The block's place along an axis.
    Block(u8),
    /// Another shift, of a smaller number.
    Shift(u32),
}

/// How a shift is computed: `value · factor + plus`. Shifts are numbered from 1 on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shift {
    pub(crate) value: Term,
    /// Of operands that are the same for all lanes in each block.
    pub(crate) factor: Factor<Operand>,
    pub(crate) plus: Term,
    /// The register of its row.
    pub(crate) row: Operand,
    /// Whether it is of 32 bits.
    pub(crate) narrow: bool,
    /// Of factors that are extended from 32 bits: where the value's row is, and whether they are signed.
    pub(crate) extended: Option<(Operand, bool)>,
}

/// What a launch decides of the shifts.
#[derive(Debug, Default)]
pub(crate) struct Decided {
    /// Of each shift: its factor, and what the row that is extended has.
    each: Vec<(u64, RangeInclusive<i64>)>,
}

impl Decided {
    /// Looks at the rows of a block's warps.
    pub(crate) fn by(shifts: &[Shift], warps: &[Warp]) -> Self {
        let decide = |shift: &Shift| {
            let signed = shift.extended.map(|(_, signed)| signed);
            let number = |operand| {
                let row: [u64; LANES] = warps.first().map_or([0; LANES], |w| w.state.read(operand));
                signed.map_or(row[0], |signed| extend(row[0], signed) as u64)
            };
            let bits = if shift.narrow { 32 } else { 64 };
            let factor = match shift.factor {
                Factor::One => 1,
                Factor::MinusOne => u64::MAX,
                Factor::Of(operand) => number(operand),
                Factor::Power(operand) => match number(operand) & 0xffff_ffff {
                    power if power < bits => 1 << power,
                    _ => 0,
                },
            };
            let range = shift.extended.map(|(row, signed)| {
                let of_warp = |warp: &Warp| {
                    let row: [u64; LANES] = warp.state.read(row);
                    lanes(warp.state.alive).map(move |lane| extend(row[lane], signed))
                };
                let all = || warps.iter().flat_map(of_warp);
                all().min().unwrap_or(0)..=all().max().unwrap_or(0)
            });
            (factor, range.unwrap_or(0..=0))
        };
        Self {
            each: shifts.iter().map(decide).collect(),
        }
    }

    /// The shifts of a block; whether no number wraps around that must not.
    pub(crate) fn of_block(&self, shifts: &[Shift], block: [u32; 3], to: &mut Vec<u64>) -> bool {
        to.clear();
        to.push(0);
        for (shift, (factor, row)) in shifts.iter().zip(&self.each) {
            let term = |term| match term {
                Term::Nothing => 0,
                Term::Block(axis) => u64::from(block[usize::from(axis) % 3]),
                Term::Shift(number) => to.get(number as usize).copied().unwrap_or(0),
            };
            let mut value = term(shift.value);
            if let Some((_, signed)) = shift.extended {
                let number = extend(value, signed);
                let all = if signed {
                    i64::from(i32::MIN)..=i64::from(i32::MAX)
                } else {
                    0..=i64::from(u32::MAX)
                };
                if !all.contains(&(row.start() + number)) || !all.contains(&(row.end() + number)) {
                    return false;
                }
                value = number as u64;
            }
            let sum = value.wrapping_mul(*factor).wrapping_add(term(shift.plus));
            to.push(if shift.narrow { sum & 0xffff_ffff } else { sum });
        }
        true
    }
}

/// 32 bits as a number.
fn extend(bits: u64, signed: bool) -> i64 {
    match signed {
        true => i64::from(bits as i32),
        false => i64::from(bits as u32),
    }
}

#[cfg(test)]
#[path = "shifts_tests.rs"]
mod tests;
