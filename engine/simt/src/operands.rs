//! Operands of a module to those that are executed, by the shapes of a row.

use vgpu_ptx::{Operand as Written, Register, Type, shortened};

use crate::decode::{Decoder, Operands};
use crate::expected::{Expected, special};
use crate::instruction::{Modifiers, Operand, Space};
use crate::selection::{NEGATIVE, Selection};
use crate::table::{Shape, Width};

impl Decoder<'_, '_> {
    /// Reads one operand.
    pub(crate) fn operand(
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
                    // So Triton writes one.
                    (Written::Vector(elements), _) if elements.len() == 1 => elements.as_slice(),
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
            Shape::Address => {
                let (operand, space, offset) = self.address(written, modifiers.space)?;
                read.address = Some(operand);
                read.space = space;
                read.offset = offset;
            }
            Shape::OtherAddress(space) => {
                let (operand, found, offset) =
                    self.address(written, space.unwrap_or(modifiers.space))?;
                read.all.push(operand);
                read.all.push(Operand::Bits(offset.cast_unsigned()));
                if space.is_none() {
                    read.space = found;
                }
            }
            Shape::Number(numbers) => read.all.push(number(written, numbers)?),
            Shape::Selected {
                of,
                result,
                negative,
            } => {
                let (register, bits) = self.selected(written, of, result, negative)?;
                read.all.push(register);
                read.all.push(Operand::Bits(bits));
            }
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

    /// A register of 32 bits, or a number, and the bits of the word behind it.
    fn selected(
        &self,
        written: &Written<'_>,
        of: Selection,
        result: bool,
        negative: bool,
    ) -> Result<(Operand, u64), String> {
        let word = Expected::exactly(Type::B32);
        let Written::Part {
            register,
            part,
            negative: is_negative,
        } = written
        else {
            let operand = match result {
                // Without a part it is another row's.
                true if of == Selection::Part => return Err("no part of a register".into()),
                true => self.result(written, word)?,
                false => self.source(written, word)?,
            };
            return Ok((operand, of.bits(None).unwrap_or(0)));
        };
        let bits = match of.bits(*part) {
            Some(bits) if negative || !is_negative => bits,
            Some(_) => return Err("`-` before it".into()),
            None => {
                return Err(format!(
                    "no part `.{}`",
                    shortened(part.unwrap_or_default())
                ));
            }
        };
        let operand = self.result(&Written::Register(*register), word)?;
        Ok((operand, bits | if *is_negative { NEGATIVE } else { 0 }))
    }

    /// An address: what it is, in which space if that is known, and what is added to it.
    fn address(
        &self,
        written: &Written<'_>,
        space: Space,
    ) -> Result<(Operand, Option<Space>, i64), String> {
        Ok(match written {
            Written::Address(index, offset) => {
                let (operand, register) = self.register(*index);
                if !matches!(register.ty.size(), 4 | 8) {
                    return Err("an address in a register of other than 32 or 64 bits".into());
                }
                // The parameters of a function lie in local memory.
                let moved = space == Space::Parameter && !self.function.entry;
                (operand, moved.then_some(Space::Local), *offset)
            }
            Written::SymbolAddress(symbol, offset) => {
                let placed = self.layout.place(self.index, *symbol, *offset);
                let agree = match space {
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
        })
    }
}

/// A number, one of those whose bits are set.
fn number(written: &Written<'_>, numbers: Option<u32>) -> Result<Operand, String> {
    let value = match written {
        Written::Integer(value) => u32::try_from(*value).ok(),
        _ => None,
    };
    let there = |value: &u32| {
        numbers.is_none_or(|numbers| numbers.checked_shr(*value).unwrap_or(0) & 1 != 0)
    };
    match value.filter(there) {
        Some(value) => Ok(Operand::Bits(u64::from(value))),
        None => Err("not such a number".into()),
    }
}
