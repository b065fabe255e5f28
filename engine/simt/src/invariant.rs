//! What gives the same in every block of a launch.
//!
//! A warp's lanes are the same threads of one block after the other, and a launch's parameters and sizes stay. What is
//! computed of these alone, into a register that nothing else writes and nothing reads before, is computed when a warp begins with a launch: the
//! register keeps it from block to block, and where the instruction stood is nothing to do.
//!
//! What a block only adds a number to, all lanes the same, is computed then as well, for block 0, into a register of its own: a
//! [shifted](crate::shifts) one. Accesses add the block's shift to it. Where else it is read, a sum stands in the place of
//! the instruction.

use std::collections::{HashMap, HashSet};

use crate::access;
use crate::code::{Action, Flow, Step};
use crate::decoded::Decoded;
use crate::forms;
use crate::halves::ROWS_MAX;
use crate::instruction::{Operand, Special};
use crate::linear::{Factor, Terms};
use crate::program::{Body, Call, Passed};
use crate::shifts::{SHIFTS_MAX, Shift, Term};

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
            if sources.iter().all(|source| found.is_uniform(*source)) {
                found.uniform.extend(results);
            }
            found.same.extend(results);
            let nothing = Step::flow(Flow::Nothing, i.line);
            taken.push((at, std::mem::replace(step, nothing)));
        } else if let Some(candidate) = found.candidate(step, at) {
            found.of.insert(candidate.result, found.candidates.len());
            found.candidates.push(candidate);
        }
    }
    shift(code, calls, body, &found, &mut taken);
    rows(code, body, &found.same);
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

/// What is known of registers.
#[derive(Default)]
struct Found {
    same: HashSet<Operand>,
    /// Those of them that are the same for all lanes.
    uniform: HashSet<Operand>,
    candidates: Vec<Candidate>,
    /// Which of them a register is the result of.
    of: HashMap<Operand, usize>,
}

/// An instruction whose result may be shifted.
struct Candidate {
    at: usize,
    result: Operand,
    terms: Terms,
    extended: Option<bool>,
    /// Candidates before it that are its value, and its summand.
    value: Source,
    plus: Source,
}

#[derive(Clone, Copy)]
enum Source {
    Same,
    Block(u8),
    Candidate(usize),
}

impl Found {
    fn is_same(&self, source: Operand) -> bool {
        match source {
            Operand::Narrow(_) | Operand::Wide(_) | Operand::Predicate(_) => {
                self.same.contains(&source)
            }
            Operand::NotPredicate(index) => self.same.contains(&Operand::Predicate(index)),
            Operand::Special(Special::Block(_) | Special::Clock | Special::ClockHigh) => false,
            Operand::None
            | Operand::Bits(_)
            | Operand::Local(_)
            | Operand::DynamicShared(_)
            | Operand::Special(_) => true,
            Operand::Shift(_) => false,
        }
    }

    /// Of one that is the same in each block: whether it is the same for all lanes as well.
    fn is_uniform(&self, source: Operand) -> bool {
        match source {
            Operand::Narrow(_) | Operand::Wide(_) => self.uniform.contains(&source),
            Operand::Bits(_) => true,
            Operand::Special(Special::Threads(_) | Special::Blocks(_)) => true,
            _ => false,
        }
    }

    fn source(&self, operand: Operand) -> Option<Source> {
        if let Operand::Special(Special::Block(axis)) = operand {
            return Some(Source::Block(axis));
        }
        match self.of.get(&operand) {
            Some(index) => Some(Source::Candidate(*index)),
            None => self.is_same(operand).then_some(Source::Same),
        }
    }

    fn candidate(&self, step: &Step, at: usize) -> Option<Candidate> {
        let linear = step.linear?;
        let operands = &step.instruction.operands;
        let result = operands[0];
        let narrow = |operand| matches!(operand, Operand::Narrow(_));
        // Registers that are wider than the instruction's type hold more than it reads.
        let fits = |index: usize| match (linear.extended, operands[index]) {
            (_, Operand::Bits(_) | Operand::Special(_)) => true,
            (None, operand) => narrow(operand) == narrow(result),
            (Some(_), operand) => narrow(operand),
        };
        if step.results != 1 || !matches!(result, Operand::Narrow(_) | Operand::Wide(_)) {
            return None;
        }
        linear.terms().into_iter().flatten().find_map(|terms| {
            let value = self.source(operands[terms.value])?;
            let plus = match terms.plus {
                Some(index) => self.source(operands[index])?,
                None => Source::Same,
            };
            let factor = match terms.factor {
                Factor::One | Factor::MinusOne => true,
                Factor::Of(index) => fits(index) && self.is_uniform(operands[index]),
                Factor::Power(index) => self.is_uniform(operands[index]),
            };
            let shifted = !matches!((value, plus), (Source::Same, Source::Same));
            (shifted && factor && fits(terms.value)).then_some(Candidate {
                at,
                result,
                terms,
                extended: linear.extended,
                value,
                plus,
            })
        })
    }
}

/// Gives those candidates a register and a shift of their own that the address of an access comes to.
fn shift(
    code: &mut [Step],
    calls: &[Call],
    body: &mut Body,
    Found { candidates, of, .. }: &Found,
    taken: &mut Vec<(usize, Step)>,
) {
    let address = |step: &Step| match step.action {
        Action::Load | Action::Store => of.get(step.instruction.operands.last()?).copied(),
        _ => None,
    };
    let mut wanted = vec![false; candidates.len()];
    for index in code.iter().filter_map(address) {
        wanted[index] |= matches!(candidates[index].result, Operand::Wide(_));
    }
    for (index, candidate) in candidates.iter().enumerate().rev() {
        for source in [candidate.value, candidate.plus] {
            if let (Source::Candidate(source), true) = (source, wanted[index]) {
                wanted[source] = true;
            }
        }
    }
    // Each has its number, and the register of its row.
    let mut rows = vec![None; candidates.len()];
    for (index, candidate) in candidates.iter().enumerate().filter(|(i, _)| wanted[*i]) {
        if body.shifts.len() == SHIFTS_MAX {
            break;
        }
        let known = |source| match source {
            Source::Candidate(index) => rows[index].map(|(_, number)| Term::Shift(number)),
            Source::Block(axis) => Some(Term::Block(axis)),
            Source::Same => Some(Term::Nothing),
        };
        let (Some(value), Some(plus)) = (known(candidate.value), known(candidate.plus)) else {
            continue;
        };
        let narrow = matches!(candidate.result, Operand::Narrow(_));
        let (count, register): (_, fn(u32) -> Operand) = match narrow {
            true => (&mut body.narrow, Operand::Narrow),
            false => (&mut body.wide, Operand::Wide),
        };
        let row = register(*count);
        *count += 1;
        let mut step = code[candidate.at].clone();
        step.instruction.operands[0] = row;
        for operand in &mut step.instruction.operands[1..] {
            if let Some((row, _)) = of.get(operand).and_then(|source| rows[*source]) {
                *operand = row;
            }
        }
        let operands = &step.instruction.operands;
        body.shifts.push(Shift {
            value,
            plus,
            narrow,
            row,
            factor: match candidate.terms.factor {
                Factor::One => Factor::One,
                Factor::MinusOne => Factor::MinusOne,
                Factor::Of(index) => Factor::Of(operands[index]),
                Factor::Power(index) => Factor::Power(operands[index]),
            },
            extended: (candidate.extended).map(|signed| (operands[candidate.terms.value], signed)),
        });
        rows[index] = Some((row, body.shifts.len() as u32));
        taken.push((candidate.at, step));
    }
    let places = candidates.iter().zip(&rows);
    let replaced: HashSet<_> = places
        .filter_map(|(candidate, row)| row.map(|_| candidate.at))
        .collect();
    let mut read = HashSet::new();
    for (at, step) in code.iter_mut().enumerate() {
        let row = match last(step) {
            Operand::Wide(_) => address(step).and_then(|index| rows[index]),
            _ => None,
        };
        if let Some((row, number)) = row {
            let i = &mut step.instruction;
            i.shift = number;
            if let Some(operand) = i.operands.last_mut() {
                *operand = row;
            }
        }
        if !replaced.contains(&at) {
            visit(step, calls, |register, _| _ = read.insert(register));
        }
    }
    for (candidate, row) in candidates.iter().zip(&rows) {
        if let Some((row, number)) = *row {
            let step = &mut code[candidate.at];
            let line = step.instruction.line;
            *step = match read.contains(&candidate.result) {
                true => sum(candidate.result, row, Operand::Shift(number), line),
                false => Step::flow(Flow::Nothing, line),
            };
        }
    }
}

/// Numbers the registers of addresses that stay for a launch.
fn rows(code: &mut [Step], body: &mut Body, same: &HashSet<Operand>) {
    let mut stay: HashSet<_> = same.clone();
    stay.extend(body.shifts.iter().map(|shift| shift.row));
    let mut numbers = HashMap::new();
    for step in code {
        let address = last(step);
        let access = matches!(step.action, Action::Load | Action::Store);
        let register = matches!(address, Operand::Narrow(_) | Operand::Wide(_));
        if !access || !register || !stay.contains(&address) || body.rows.len() == ROWS_MAX {
            continue;
        }
        let number = numbers.entry(address).or_insert_with(|| {
            body.rows.push(address);
            body.rows.len() as u32
        });
        step.instruction.row = *number;
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

/// `to = a + b`, of the width of `to`.
fn sum(to: Operand, a: Operand, b: Operand, line: u32) -> Step {
    let mut step = Step::flow(Flow::Nothing, line);
    step.action = forms::sum(matches!(to, Operand::Narrow(_)));
    step.results = 1;
    step.instruction.operands = Box::new([to, a, b]);
    step
}

fn last(step: &Step) -> Operand {
    let last = step.instruction.operands.last();
    last.copied().unwrap_or(Operand::None)
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

#[cfg(test)]
#[path = "invariant_tests.rs"]
mod tests;
