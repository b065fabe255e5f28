//! Declarations of variables. Source: PTX ISA 5.4.

use crate::error::{Error, ErrorKind, Position};
use crate::lexer::{Token, shortened};
use crate::module::{Initializer, Linkage, Space, Variable};
use crate::number::Number;
use crate::parser::Parser;
use crate::types::{Class, Type};

/// The largest variable, in bytes.
const SIZE_MAX: u64 = 1 << 32;
/// The largest alignment, in bytes.
const ALIGN_MAX: u64 = 1 << 16;

impl<'a> Parser<'a> {
    /// What follows `.global` and its like, to the semicolon.
    pub(crate) fn variables(
        &mut self,
        linkage: Linkage,
        space: Space,
    ) -> Result<Vec<Variable<'a>>, Error> {
        let first = self.variable(linkage, space)?;
        let (ty, align) = (first.ty, first.align);
        let mut all = vec![first];
        while self.take(b',')? {
            all.push(self.declarator(linkage, space, ty, align)?);
        }
        self.expect(b';', "`;` after a declaration")?;
        Ok(all)
    }

    /// A parameter, or the first variable of a declaration: what follows the space.
    pub(crate) fn variable(
        &mut self,
        linkage: Linkage,
        space: Space,
    ) -> Result<Variable<'a>, Error> {
        let mut align = None;
        let mut lanes = 1u32;
        let mut pointer = false;
        let mut ty = None;
        while let Token::Dot(word) = self.lexer.peek() {
            let position = self.lexer.position();
            self.lexer.next()?;
            match word {
                "align" => {
                    let value = self.integer("an alignment")?;
                    if !value.is_power_of_two() || value > ALIGN_MAX {
                        let (what, limit) = ("an alignment that is no power of two, or", ALIGN_MAX);
                        return Err(ErrorKind::TooLarge { what, limit }.at(position));
                    }
                    // After `.ptr` it is that of what is pointed at.
                    if !pointer {
                        align = u32::try_from(value).ok();
                    }
                }
                "ptr" => pointer = true,
                "global" | "shared" | "const" | "local" if pointer => {}
                "attribute" => self.parenthesis()?,
                "v2" => lanes = 2,
                "v4" => lanes = 4,
                _ => match Type::parse(word) {
                    Some(Type::Pred) | None => {
                        let what = format!("a variable of `.{}`", shortened(word));
                        return Err(ErrorKind::Unsupported(what).at(position));
                    }
                    found => ty = found,
                },
            }
        }
        let ty = ty.ok_or_else(|| self.lexer.expected("a type"))?;
        let natural = u32::from(ty.size()).saturating_mul(lanes);
        let align = align.unwrap_or(natural).max(1);
        let mut variable = self.declarator(linkage, space, ty, align)?;
        if lanes > 1 {
            variable.size = variable.size.saturating_mul(u64::from(lanes));
        }
        Ok(variable)
    }

    /// `name[4][8] = { … }`.
    fn declarator(
        &mut self,
        linkage: Linkage,
        space: Space,
        ty: Type,
        align: u32,
    ) -> Result<Variable<'a>, Error> {
        let position = self.lexer.position();
        let name = self.word("a name")?;
        let mut size = Some(u64::from(ty.size()));
        let mut array = false;
        let mut open = false;
        while self.take(b'[')? {
            array = true;
            if self.take(b']')? {
                open = true;
                continue;
            }
            let length = self.integer("a length")?;
            size = size.and_then(|size| size.checked_mul(length));
            self.expect(b']', "`]`")?;
        }
        let mut size = size
            .filter(|size| *size <= SIZE_MAX)
            .ok_or_else(|| too_large(position))?;
        let mut initializer = Vec::new();
        if self.take(b'=')? {
            if array {
                self.list(ty, &mut initializer)?;
            } else {
                initializer.push(self.initial(ty)?);
            }
        }
        let element = u64::from(ty.size());
        let given = element.saturating_mul(initializer.len() as u64);
        if open {
            size = given;
        } else if given > size {
            return Err(too_large(position));
        }
        Ok(Variable {
            position,
            linkage,
            space,
            ty,
            name,
            align,
            size,
            array,
            initializer,
        })
    }

    /// `{ a, { b, c } }`, flat: an inner list has to be full, as compilers write it.
    fn list(&mut self, ty: Type, into: &mut Vec<Initializer>) -> Result<(), Error> {
        let mut depth = 0u32;
        loop {
            if self.take(b'{')? {
                depth = depth.saturating_add(1);
            } else if self.take(b'}')? {
                depth = depth.saturating_sub(1);
            } else if self.take(b',')? {
                continue;
            } else if depth == 0 {
                return Err(self.lexer.expected("`{` of an initializer"));
            } else {
                into.push(self.initial(ty)?);
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    fn initial(&mut self, ty: Type) -> Result<Initializer, Error> {
        let position = self.lexer.position();
        if let Token::Word(word) = self.lexer.peek() {
            self.lexer.next()?;
            let (name, close) = if word == "generic" {
                self.expect(b'(', "`(` of generic")?;
                (self.word("a variable")?, true)
            } else {
                (word, false)
            };
            let symbol = self.names.get(name).copied();
            let symbol =
                symbol.ok_or_else(|| ErrorKind::Undeclared(shortened(name)).at(position))?;
            if close {
                self.expect(b')', "`)`")?;
            }
            let offset = match self.take(b'+')? {
                true => self.offset_value()?,
                false => 0,
            };
            if ty.size() != 8 {
                let what = "an address in fewer than 64 bits".into();
                return Err(ErrorKind::Unsupported(what).at(position));
            }
            return Ok(Initializer::Address(symbol, i64::from(offset)));
        }
        let negative = self.take(b'-')?;
        let Token::Number(number) = self.lexer.peek() else {
            return Err(self.lexer.expected("a value"));
        };
        self.lexer.next()?;
        Ok(Initializer::Bits(initial_bits(ty, number, negative)))
    }

    /// `( … )` without parentheses inside.
    fn parenthesis(&mut self) -> Result<(), Error> {
        self.expect(b'(', "`(`")?;
        loop {
            match self.lexer.next()? {
                Token::Mark(b')') => return Ok(()),
                Token::End => return Err(self.lexer.expected("`)`")),
                _ => {}
            }
        }
    }
}

fn too_large(position: Position) -> Error {
    let (what, limit) = (
        "bytes for a variable, or its initializer beyond it,",
        SIZE_MAX,
    );
    ErrorKind::TooLarge { what, limit }.at(position)
}

fn initial_bits(ty: Type, number: Number, negative: bool) -> u64 {
    let value = match number {
        Number::Integer(bits) if ty.class() != Class::Float => {
            return if negative { bits.wrapping_neg() } else { bits };
        }
        Number::Integer(value) => value as f64,
        Number::Single(bits) => f64::from(f32::from_bits(bits)),
        Number::Double(bits) => f64::from_bits(bits),
    };
    let value = if negative { -value } else { value };
    match ty.size() {
        8 => value.to_bits(),
        _ => u64::from((value as f32).to_bits()),
    }
}
