//! Instructions of a module to those that are executed, by the table of forms.

use vgpu_ptx::{
    Error, ErrorKind, Function, Instruction as Source, Module, Operand as Written, Position,
    Register, Type, shortened,
};

use crate::code::{Action, Flow, Step};
use crate::expected::{Expected, special};
use crate::forms::convert_general;
use crate::instruction::{Instruction, Modifiers, Operand, Space, Special};
use crate::invariant;
use crate::layout::{Layout, REGISTERS_MAX};
use crate::program::{Body, Builtin, Call, Kernel};
use crate::table::{Compiled, Shape, Width, rows};
use crate::words::Words;

#[derive(Debug, Default)]
pub(crate) struct Decoded {
    pub(crate) code: Vec<Step>,
    pub(crate) bodies: Vec<Body>,
    pub(crate) calls: Vec<Call>,
    pub(crate) branches: Vec<Box<[u32]>>,
    pub(crate) kernels: Vec<Kernel>,
}

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
                body.invariant = invariant::take(&mut decoded, start, size);
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
                registers: body.narrow + 2 * body.wide,
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
    registers: Vec<Operand>,
    start: u32,
    /// Where the function's lists of labels begin.
    branches: u32,
    pub(crate) calls: &'d mut Vec<Call>,
}

/// One instruction's operands while they are read.
#[derive(Default)]
struct Operands {
    all: Vec<Operand>,
    address: Option<Operand>,
    space: Option<Space>,
    offset: i64,
    target: u32,
    /// How many of `all` may be written.
    results: usize,
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
            target: read.target,
            line,
        };
        Step {
            clock: instruction.operands.iter().any(clock),
            results: read.results,
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

    fn operand(
        &self,
        written: &Written<'_>,
        shape: Shape,
        modifiers: &Modifiers,
        read: &mut Operands,
    ) -> Result<(), String> {
        let width = |width| Expected::new(width, modifiers);
        match shape {
            Shape::Result(of) => read.all.push(self.result(written, width(of))?),
            Shape::Source(of) => read.all.push(self.source(written, width(of))?),
            Shape::PredicateResult => read.all.push(self.predicate(written, true)?),
            Shape::PredicateSource => read.all.push(self.predicate(written, false)?),
            Shape::Predicates => {
                let (first, second) = written.halves();
                read.all.push(self.predicate(first, true)?);
                read.all.push(self.optional_predicate(second)?);
            }
            Shape::ResultAndPredicate => {
                let (first, second) = written.halves();
                read.all
                    .push(self.result(first, width(Width::Exactly(Type::B32)))?);
                read.all.push(self.optional_predicate(second)?);
            }
            Shape::Results | Shape::Sources => {
                let one = std::slice::from_ref(written);
                let elements = match (written, modifiers.count) {
                    (Written::Vector(elements), 2..) => elements.as_slice(),
                    (Written::Vector(_), _) => return Err("a vector without `.v2` or `.v4`".into()),
                    _ => one,
                };
                if elements.len() != usize::from(modifiers.count) {
                    return Err(format!("not a vector of {}", modifiers.count));
                }
                for element in elements {
                    read.all.push(match shape {
                        Shape::Results => self.result(element, width(Width::AtLeast))?,
                        _ => self.source(element, width(Width::AtLeast))?,
                    });
                }
            }
            Shape::ManyResults(count, of) | Shape::ManySources(count, of) => {
                let one = std::slice::from_ref(written);
                let elements = match written {
                    Written::Vector(elements) => elements.as_slice(),
                    _ => one,
                };
                if elements.len() != count {
                    return Err(format!("not {count} registers"));
                }
                for element in elements {
                    read.all.push(match shape {
                        Shape::ManyResults(..) => self.result(element, width(of))?,
                        _ => self.source(element, width(of))?,
                    });
                }
            }
            Shape::Pack => {
                let Written::Vector(parts) = written else {
                    return Err("no vector".into());
                };
                let whole = usize::from(modifiers.types[0].size());
                let part = match whole.checked_div(parts.len()) {
                    Some(2) => Type::B16,
                    Some(4) => Type::B32,
                    _ => return Err("not the bits of the type in parts of 16 or 32".into()),
                };
                if parts.len() * usize::from(part.size()) != whole {
                    return Err("not the bits of the type".into());
                }
                for element in parts {
                    read.all.push(match element {
                        Written::Sink => Operand::None,
                        _ => self.source(element, Expected::exactly(part))?,
                    });
                }
            }
            Shape::Address => self.address(written, modifiers, read)?,
            Shape::Label => {
                let Written::Label(index) = written else {
                    return Err("no label".into());
                };
                read.target = self.start + index;
            }
            Shape::Labels => {
                let Written::Targets(index) = written else {
                    return Err("no list of labels".into());
                };
                read.target = self.branches + index;
            }
            Shape::Call | Shape::Nothing | Shape::Warp => {}
        }
        Ok(())
    }

    pub(crate) fn register(&self, index: u32) -> (Operand, Register<'_>) {
        (
            self.registers[index as usize],
            self.function.registers[index as usize],
        )
    }

    fn result(&self, written: &Written<'_>, expected: Expected) -> Result<Operand, String> {
        match written {
            Written::Sink => Ok(Operand::None),
            Written::Register(index) => {
                let (operand, register) = self.register(*index);
                expected.check(register)?;
                Ok(operand)
            }
            _ => Err("no register".into()),
        }
    }

    fn source(&self, written: &Written<'_>, expected: Expected) -> Result<Operand, String> {
        match written {
            Written::Register(_) => self.result(written, expected),
            Written::Special(name, component) => special(name, *component)
                .map(Operand::Special)
                .ok_or_else(|| format!("no register `{}`", shortened(name))),
            Written::Symbol(symbol, offset) => {
                Ok(self.layout.place(self.index, *symbol, *offset).operand)
            }
            _ => expected.number(written).map(Operand::Bits),
        }
    }

    fn predicate(&self, written: &Written<'_>, result: bool) -> Result<Operand, String> {
        let (index, negated) = match written {
            Written::Register(index) => (*index, false),
            Written::Not(index) if !result => (*index, true),
            Written::Sink if result => return Ok(Operand::None),
            Written::Integer(value) if !result => {
                return Ok(Operand::Bits(u64::from(*value != 0)));
            }
            _ => return Err("no predicate".into()),
        };
        match (self.registers[index as usize], negated) {
            (Operand::Predicate(index), true) => Ok(Operand::NotPredicate(index)),
            (operand @ Operand::Predicate(_), false) => Ok(operand),
            _ => Err("no predicate".into()),
        }
    }

    fn optional_predicate(&self, written: Option<&Written<'_>>) -> Result<Operand, String> {
        written.map_or(Ok(Operand::None), |written| self.predicate(written, true))
    }

    fn address(
        &self,
        written: &Written<'_>,
        modifiers: &Modifiers,
        read: &mut Operands,
    ) -> Result<(), String> {
        let (operand, space, offset) = match written {
            Written::Address(index, offset) => {
                let (operand, register) = self.register(*index);
                if !matches!(register.ty.size(), 4 | 8) {
                    return Err("an address in a register of other than 32 or 64 bits".into());
                }
                // The parameters of a function lie in local memory.
                let moved = modifiers.space == Space::Parameter && !self.function.entry;
                (operand, moved.then_some(Space::Local), *offset)
            }
            Written::SymbolAddress(symbol, offset) => {
                let placed = self.layout.place(self.index, *symbol, *offset);
                let agree = match modifiers.space {
                    Space::Generic => true,
                    Space::Parameter => matches!(placed.space, Space::Parameter | Space::Local),
                    space => space == placed.space,
                };
                if !agree {
                    return Err("a variable of another state space".into());
                }
                (placed.operand, Some(placed.space), 0)
            }
            Written::AbsoluteAddress(address) => (Operand::Bits(0), None, *address),
            _ => return Err("no address".into()),
        };
        read.address = Some(operand);
        read.space = space;
        read.offset = offset;
        Ok(())
    }
}
