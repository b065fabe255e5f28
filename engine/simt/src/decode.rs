//! Instructions of a module to those that are executed, by the table of forms.

use vgpu_ptx::{Error, ErrorKind, Function, Instruction as Source, Module, Position};

use crate::code::{Action, Flow, Step};
use crate::decoded::Decoded;
use crate::forms::convert_general;
use crate::instruction::{Instruction, Modifiers, Operand, Space, Special};
use crate::invariant;
use crate::layout::{Layout, REGISTERS_MAX};
use crate::linear::Linear;
use crate::program::{Body, Builtin, Call, Kernel};
use crate::table::{Compiled, Shape, rows};
use crate::words::Words;

/// Decodes a module; `failed` says of an instruction's error whether it is the
/// end.
pub(crate) fn module(
    module: &Module<'_>,
    layout: &Layout,
    mut failed: impl FnMut(Error) -> Result<(), Error>,
) -> Result<Decoded, Error> {
    let mut decoded = Decoded::default();
    for (index, function) in module.functions.iter().enumerate() {
        let mut decoder = Decoder {
            module,
            layout,
            function,
            index,
            registers: Vec::new(),
            start: decoded.code.len() as u32,
            branches: decoded.branches.len() as u32,
            calls: &mut decoded.calls,
        };
        if function.registers.len() > REGISTERS_MAX as usize {
            let (what, limit) = ("registers in use", u64::from(REGISTERS_MAX));
            let kind = ErrorKind::TooLarge { what, limit };
            let position = function.position;
            return Err(Error { position, kind });
        }
        let mut body = decoder.body();
        let registers = body.narrow + 2 * body.wide;
        for targets in &function.targets {
            let targets = targets.iter().map(|target| decoder.start + target);
            decoded.branches.push(targets.collect());
        }
        if function.defined {
            body.start = Some(decoder.start);
            for source in &function.instructions {
                match decoder.instruction(source) {
                    Ok(instruction) => decoded.code.push(instruction),
                    Err(error) => failed(error)?,
                }
            }
            // A function ends behind its last instruction.
            decoded
                .code
                .push(Step::flow(Flow::Return, function.position.line));
            if function.entry {
                let size = layout.frame(index).parameter_size as usize;
                let start = body.start.unwrap_or_default();
                invariant::take(&mut decoded, &mut body, start, size);
            }
        }
        if function.entry && function.defined {
            let frame = layout.frame(index);
            let [x, y, z] = function
                .required_threads
                .or(function.max_threads)
                .unwrap_or([0; 3]);
            let threads = x.saturating_mul(y).saturating_mul(z);
            decoded.kernels.push(Kernel {
                name: function.name.into(),
                parameters: frame.parameters(function),
                parameter_size: frame.parameter_size,
                shared_size: frame.shared,
                local_size: frame.local,
                registers,
                max_threads: (threads > 0).then_some(threads),
                required_threads: function.required_threads,
                body: index as u32,
            });
        }
        decoded.bodies.push(body);
    }
    Ok(decoded)
}

pub(crate) struct Decoder<'m, 'd> {
    pub(crate) module: &'m Module<'m>,
    pub(crate) layout: &'m Layout,
    pub(crate) function: &'m Function<'m>,
    pub(crate) index: usize,
    pub(crate) registers: Vec<Operand>,
    pub(crate) start: u32,
    /// Where the function's lists of labels begin.
    pub(crate) branches: u32,
    pub(crate) calls: &'d mut Vec<Call>,
}

/// One instruction's operands while they are read.
#[derive(Default)]
pub(crate) struct Operands {
    pub(crate) all: Vec<Operand>,
    pub(crate) address: Option<Operand>,
    pub(crate) space: Option<Space>,
    pub(crate) offset: i64,
    pub(crate) target: u32,
    /// How many of `all` may be written.
    pub(crate) results: usize,
}

impl Decoder<'_, '_> {
    /// Gives each register its file and its place there.
    fn body(&mut self) -> Body {
        let mut body = Body::default();
        for register in &self.function.registers {
            let (count, operand): (_, fn(u32) -> Operand) = match register.ty.size() {
                0 => (&mut body.predicates, Operand::Predicate),
                8 => (&mut body.wide, Operand::Wide),
                _ => (&mut body.narrow, Operand::Narrow),
            };
            self.registers.push(operand(*count));
            *count += 1;
        }
        let frame = self.layout.frame(self.index);
        body.entry = self.function.entry;
        body.local = frame.local;
        body.parameters = frame.parameter_slots(self.function);
        body.returns = frame.return_slots(self.function);
        body.builtin = match self.function.name {
            "__assertfail" if !self.function.defined => Some(Builtin::AssertFail),
            "vprintf" if !self.function.defined => Some(Builtin::Print),
            _ => None,
        };
        body
    }

    fn instruction(&mut self, source: &Source<'_>) -> Result<Step, Error> {
        let words = Words::new(&source.words);
        let mut refused = None;
        for row in rows(&source.words) {
            let Some(action) = (row.form.semantics)(&words) else {
                continue;
            };
            let mut modifiers = Modifiers::of(&words);
            match self.operands(source, row, &modifiers) {
                Ok(read) => {
                    if let Some(space) = read.space {
                        modifiers.space = space;
                    }
                    return Ok(self.assemble(source, action, modifiers, read));
                }
                Err((operand, why)) => {
                    // The row that got furthest knows best.
                    if refused.as_ref().is_none_or(|(before, _)| *before < operand) {
                        refused = Some((operand, why));
                    }
                }
            }
        }
        let form = source.form();
        let kind = match refused {
            Some((operand, why)) => ErrorKind::Operand { form, operand, why },
            None => ErrorKind::UnknownForm(form),
        };
        let position = source.position;
        Err(Error { position, kind })
    }

    fn assemble(
        &self,
        source: &Source<'_>,
        action: Action,
        modifiers: Modifiers,
        read: Operands,
    ) -> Step {
        let Position { line, .. } = source.position;
        let mut operands = read.all;
        operands.extend(read.address);
        let clock = |operand: &Operand| {
            matches!(
                operand,
                Operand::Special(Special::Clock | Special::ClockHigh)
            )
        };
        let wider = matches!(operands.first(), Some(Operand::Wide(_)))
            && modifiers.types[0].size() < 8
            && source.words.first() == Some(&"cvt");
        let instruction = Instruction {
            guard: source.guard.map_or(Operand::None, |guard| {
                match (self.registers[guard.register as usize], guard.negated) {
                    (Operand::Predicate(index), true) => Operand::NotPredicate(index),
                    (operand, _) => operand,
                }
            }),
            operands: operands.into(),
            modifiers,
            offset: read.offset,
            shift: 0,
            row: 0,
            target: read.target,
            line,
        };
        Step {
            clock: instruction.operands.iter().any(clock),
            results: read.results,
            linear: Linear::of(&source.words),
            action: if wider {
                Action::Lanes(convert_general)
            } else {
                action
            },
            instruction,
        }
    }

    /// The operands by the shapes of a row, or which one is wrong, and why.
    fn operands(
        &mut self,
        source: &Source<'_>,
        row: &Compiled,
        modifiers: &Modifiers,
    ) -> Result<Operands, (usize, String)> {
        if let Some(guard) = source.guard {
            let register = self.registers[guard.register as usize];
            if !matches!(register, Operand::Predicate(_)) {
                return Err((0, "the guard is no predicate".into()));
            }
        }
        let mut read = Operands::default();
        if row
            .shapes
            .first()
            .is_some_and(|(shape, _)| *shape == Shape::Call)
        {
            read.target = self.call(source).map_err(|why| (1, why))?;
            return Ok(read);
        }
        let mut given = source.operands.iter();
        let mut number = 0;
        for (shape, optional) in &row.shapes {
            match shape {
                Shape::Nothing => {
                    read.all.push(Operand::None);
                    continue;
                }
                Shape::Warp => {
                    read.all.push(Operand::Bits(u64::from(u32::MAX)));
                    continue;
                }
                _ => {}
            }
            number += 1;
            match given.next() {
                Some(written) => {
                    self.operand(written, *shape, modifiers, &mut read)
                        .map_err(|why| (number, why))?;
                    if shape.written() {
                        read.results = read.all.len();
                    }
                }
                None if *optional => read.all.push(Operand::None),
                None => return Err((number, "missing".into())),
            }
        }
        match given.next() {
            Some(_) => Err((number + 1, "one too many".into())),
            None => Ok(read),
        }
    }
}
