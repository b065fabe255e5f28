//! Which registers are [shifted](crate::shifts), and what becomes of the instructions that compute them.

use std::collections::{HashMap, HashSet};

use crate::code::{Action, Flow, Step};
use crate::forms;
use crate::halves::ROWS_MAX;
use crate::instruction::{Operand, Special};
use crate::linear::{Factor, Terms};
use crate::program::{Body, Call};
use crate::registers::visit;
use crate::shifts::{SHIFTS_MAX, Shift, Term};

/// What is known of the registers of a kernel.
#[derive(Default)]
pub(crate) struct Found {
    /// Those that are the same in each block.
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
    /// The results of an instruction are the same in each block, as its sources are.
    pub(crate) fn keep(&mut self, results: &[Operand], sources: &[Operand]) {
        if sources.iter().all(|source| self.is_uniform(*source)) {
            self.uniform.extend(results);
        }
        self.same.extend(results);
    }

    /// The result of the instruction at `at`, which nothing else writes, may be shifted.
    pub(crate) fn consider(&mut self, step: &Step, at: usize) {
        if let Some(candidate) = self.candidate(step, at) {
            self.of.insert(candidate.result, self.candidates.len());
            self.candidates.push(candidate);
        }
    }

    pub(crate) fn is_same(&self, source: Operand) -> bool {
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
pub(crate) fn shift(
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
pub(crate) fn rows(code: &mut [Step], body: &mut Body, found: &Found) {
    let mut stay = found.same.clone();
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
