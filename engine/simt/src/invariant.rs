//! What gives the same in every block of a launch.
//!
//! A warp's lanes are the same threads of one block after the other, and a launch's parameters and sizes stay. What is
//! computed of these alone, into a register that nothing else writes and nothing reads before, is computed when a warp begins with a launch: the
//! register keeps it from block to block, and where the instruction stood is nothing to do.
//!
//! What a block only adds a number to, all lanes the same, is computed then as well, for block 0, into a register of its own: a
//! [shifted](crate::shifts) one. Accesses add the block's shift to it. Where else it is read, a sum stands in the place of
//! the instruction.

use std::collections::HashMap;

use crate::access;
use crate::code::{Action, Flow, Step};
use crate::decoded::Decoded;
use crate::instruction::Operand;
use crate::program::{Body, Call};
use crate::registers::visit;
use crate::shifting::{Found, rows, shift};

/// How many instructions are looked at for each one of a kernel, to find out what comes before what.
const LOOKS: usize = 64;

/// Where a kernel has a register.
#[derive(Clone, Copy)]
struct Uses {
    writers: usize,
    first: usize,
    last: usize,
}

/// Takes such instructions out of a kernel's code, whose parameters have `parameters` bytes, into its body; `decoded` has its
/// calls and lists of labels, and its code is from `start` on.
pub(crate) fn take(decoded: &mut Decoded, body: &mut Body, start: u32, parameters: usize) {
    let Decoded {
        code,
        calls,
        branches,
        ..
    } = decoded;
    let code = &mut code[start as usize..];
    let mut places = Places::of(code, start, calls, branches);
    let mut found = Found::default();
    let mut taken = Vec::new();
    for (at, step) in code.iter_mut().enumerate() {
        let i = &step.instruction;
        let (results, sources) = i.operands.split_at(step.results);
        if i.guard != Operand::None || !results.iter().all(|result| places.only(*result, at)) {
            continue;
        }
        if is_pure(step, parameters) && sources.iter().all(|source| found.is_same(*source)) {
            found.keep(results, sources);
            let nothing = Step::flow(Flow::Nothing, i.line);
            taken.push((at, std::mem::replace(step, nothing)));
        } else {
            found.consider(step, at);
        }
    }
    shift(code, calls, body, &found, &mut taken);
    rows(code, body, &found);
    join(code);
    taken.sort_by_key(|(at, _)| *at);
    body.invariant = taken.into_iter().map(|(_, step)| step).collect();
}

/// Where a kernel has its registers, and its jumps.
struct Places {
    uses: HashMap<Operand, Uses>,
    /// Of each instruction: the first, and the last, that goes there other than from the one before.
    jumps: Vec<(usize, usize)>,
    looks: usize,
}

impl Places {
    fn of(code: &[Step], start: u32, calls: &[Call], branches: &[Box<[u32]>]) -> Self {
        let mut uses = HashMap::<Operand, Uses>::new();
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
        let looks = LOOKS * code.len();
        Self { uses, jumps, looks }
    }

    /// Whether nothing but the instruction at `at` writes a register, and there is no way to where it is read but through there.
    fn only(&mut self, result: Operand, at: usize) -> bool {
        let Some(Uses {
            writers: 1,
            first,
            last,
        }) = self.uses.get(&result).copied()
        else {
            return result == Operand::None;
        };
        let between = self.jumps.get(at + 1..=last).unwrap_or_default();
        self.looks = self.looks.saturating_sub(between.len());
        let inside =
            |jump: &(usize, usize)| *jump == (usize::MAX, 0) || jump.0 > at && jump.1 <= last;
        first == at && self.looks > 0 && between.iter().all(inside)
    }
}

/// Tells each instruction that is nothing to do how many more of them follow it.
fn join(code: &mut [Step]) {
    let mut follow = 0;
    for step in code.iter_mut().rev() {
        let nothing = matches!(step.action, Action::Flow(Flow::Nothing));
        if nothing && step.instruction.guard == Operand::None {
            step.instruction.target = follow;
            follow += 1;
        } else {
            follow = 0;
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

#[cfg(test)]
#[path = "invariant_tests.rs"]
mod tests;
