//! What gives the same in every block of a launch.
//!
//! A warp's lanes are the same threads of one block after the other, and a launch's parameters and sizes stay. What is
//! computed of these alone, into a register that nothing else writes and nothing reads before, is computed when a warp begins with a launch: the
//! register keeps it from block to block, and where the instruction stood is nothing to do.

use std::collections::{HashMap, HashSet};

use crate::access;
use crate::code::{Action, Flow, Step};
use crate::decoded::Decoded;
use crate::instruction::{Operand, Special};
use crate::program::{Call, Passed};

/// How many instructions are looked at for each one of a kernel, to find out what comes before what.
const LOOKS: usize = 64;

/// Where a kernel has a register.
#[derive(Clone, Copy)]
struct Uses {
    writers: usize,
    first: usize,
    last: usize,
}

/// Takes such instructions out of a kernel's code, whose parameters have `parameters` bytes; `decoded` has its calls and
/// lists of labels, and its code is from `start` on.
pub(crate) fn take(decoded: &mut Decoded, start: u32, parameters: usize) -> Vec<Step> {
    let (calls, branches) = (&decoded.calls, &decoded.branches);
    let code = &mut decoded.code[start as usize..];
    let mut uses = HashMap::<Operand, Uses>::new();
    // Of each instruction: the first, and the last, that goes there other than from the one before.
    let mut jumps = vec![(usize::MAX, 0); code.len()];
    for (at, step) in code.iter().enumerate() {
        visit(step, calls, |register, written| {
            let none = Uses {
                writers: 0,
                first: at,
                last: at,
            };
            let uses = uses.entry(register).or_insert(none);
            uses.writers += usize::from(written);
            uses.last = at;
        });
        let target = step.instruction.target;
        let targets = match step.action {
            Action::Flow(Flow::Branch) => std::slice::from_ref(&target),
            Action::Flow(Flow::Choose) => {
                branches.get(target as usize).map_or(&[][..], |list| list)
            }
            _ => &[],
        };
        for target in targets {
            if let Some(jumps) = jumps.get_mut(target.wrapping_sub(start) as usize) {
                *jumps = (jumps.0.min(at), jumps.1.max(at));
            }
        }
    }
    let mut same = HashSet::new();
    let mut taken = Vec::new();
    let mut looks = LOOKS * code.len();
    for (at, step) in code.iter_mut().enumerate() {
        let i = &step.instruction;
        let (results, sources) = i.operands.split_at(step.results);
        // Nothing else writes the register, and there is no way to where it is read but through here.
        let mut only = |result: &Operand| {
            let Some(Uses {
                writers: 1,
                first,
                last,
            }) = uses.get(result).copied()
            else {
                return *result == Operand::None;
            };
            let between = jumps.get(at + 1..=last).unwrap_or_default();
            looks = looks.saturating_sub(between.len());
            let inside =
                |jump: &(usize, usize)| *jump == (usize::MAX, 0) || jump.0 > at && jump.1 <= last;
            first == at && looks > 0 && between.iter().all(inside)
        };
        let here = i.guard == Operand::None
            && is_pure(step, parameters)
            && sources.iter().all(|source| is_same(*source, &same))
            && results.iter().all(&mut only);
        if here {
            same.extend(results);
            let nothing = Step::flow(Flow::Nothing, i.line);
            taken.push(std::mem::replace(step, nothing));
        }
    }
    taken
}

/// The registers of an instruction, each with whether it may be written.
fn visit(step: &Step, calls: &[Call], mut f: impl FnMut(Operand, bool)) {
    let mut f = |operand, written| match operand {
        Operand::Narrow(_) | Operand::Wide(_) | Operand::Predicate(_) => f(operand, written),
        Operand::NotPredicate(index) => f(Operand::Predicate(index), written),
        _ => {}
    };
    f(step.instruction.guard, false);
    for (index, operand) in step.instruction.operands.iter().enumerate() {
        f(*operand, index < step.results);
    }
    let call = match step.action {
        Action::Flow(Flow::Call) => calls.get(step.instruction.target as usize),
        _ => None,
    };
    if let Some(call) = call {
        f(call.target, false);
        for (list, written) in [(&call.arguments, false), (&call.results, true)] {
            for passed in list {
                if let Passed::Value(register, _) = passed {
                    f(*register, written);
                }
            }
        }
    }
}

/// Whether it gives what its sources alone say, in each lane by itself, and cannot fail.
fn is_pure(step: &Step, parameters: usize) -> bool {
    match step.action {
        Action::Warps(_) | Action::Tests(..) => true,
        Action::Load => access::parameter(&step.instruction, parameters).is_some(),
        _ => false,
    }
}

fn is_same(source: Operand, same: &HashSet<Operand>) -> bool {
    match source {
        Operand::Narrow(_) | Operand::Wide(_) | Operand::Predicate(_) => same.contains(&source),
        Operand::NotPredicate(index) => same.contains(&Operand::Predicate(index)),
        Operand::Special(Special::Block(_) | Special::Clock | Special::ClockHigh) => false,
        Operand::None
        | Operand::Bits(_)
        | Operand::Local(_)
        | Operand::DynamicShared(_)
        | Operand::Special(_) => true,
    }
}

#[cfg(test)]
#[path = "invariant_tests.rs"]
mod tests;
