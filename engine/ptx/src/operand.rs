//! Operands. Source: PTX ISA 6.

use crate::error::{Error, ErrorKind};
use crate::lexer::{Token, shortened};
use crate::module::{Component, Operand, RegisterIndex, Symbol};
use crate::number::Number;
use crate::parser::Parser;
use crate::scope::{Name, Scopes};

/// The longest vector or list of arguments.
const LIST_MAX: usize = 256;

impl<'a> Parser<'a> {
    pub(crate) fn operand(&mut self, scopes: &mut Scopes<'a>) -> Result<Operand<'a>, Error> {
        match self.lexer.peek() {
            Token::Mark(b'[') => self.address(scopes),
            Token::Mark(b'{') => {
                self.lexer.next()?;
                Ok(Operand::Vector(self.scalars(scopes, b'}')?))
            }
            Token::Mark(b'(') => {
                self.lexer.next()?;
                Ok(Operand::List(self.scalars(scopes, b')')?))
            }
            Token::Mark(b'!') => {
                self.lexer.next()?;
                match self.scalar(scopes)? {
                    Operand::Register(register) => Ok(Operand::Not(register)),
                    _ => Err(self.lexer.expected("a predicate after `!`")),
                }
            }
            _ => {
                let first = self.scalar(scopes)?;
                if !self.take(b'|')? {
                    return Ok(first);
                }
                let second = self.scalar(scopes)?;
                Ok(Operand::Pair(Box::new([first, second])))
            }
        }
    }

    fn scalars(&mut self, scopes: &mut Scopes<'a>, close: u8) -> Result<Vec<Operand<'a>>, Error> {
        let mut all = Vec::new();
        while !self.take(close)? {
            if !all.is_empty() {
                self.expect(b',', "`,` in a list")?;
            }
            if all.len() >= LIST_MAX {
                let (what, limit) = ("operands in a list", LIST_MAX as u64);
                return Err(ErrorKind::TooLarge { what, limit }.at(self.lexer.position()));
            }
            all.push(self.scalar(scopes)?);
        }
        Ok(all)
    }

    /// A register, a number, or a name.
    fn scalar(&mut self, scopes: &mut Scopes<'a>) -> Result<Operand<'a>, Error> {
        let negative = self.take(b'-')?;
        let position = self.lexer.position();
        match self.lexer.peek() {
            Token::Number(number) => {
                self.lexer.next()?;
                Ok(match (number, negative) {
                    (Number::Integer(value), false) => Operand::Integer(i128::from(value)),
                    (Number::Integer(value), true) => {
                        Operand::Integer(i128::from(value).saturating_neg())
                    }
                    (Number::Single(bits), _) => {
                        Operand::Single(bits ^ (u32::from(negative) << 31))
                    }
                    (Number::Double(bits), _) => {
                        Operand::Double(bits ^ (u64::from(negative) << 63))
                    }
                })
            }
            Token::Word(word) if negative => match self.resolve(word, scopes) {
                Some(Name::Register(register)) => {
                    self.lexer.next()?;
                    self.part(register, true)
                }
                _ => Err(self.lexer.expected("a number or a register after `-`")),
            },
            Token::Word("_") => {
                self.lexer.next()?;
                Ok(Operand::Sink)
            }
            Token::Word("WARP_SZ") => {
                self.lexer.next()?;
                Ok(Operand::Integer(32))
            }
            Token::Word(word) => {
                self.lexer.next()?;
                match self.resolve(word, scopes) {
                    Some(Name::Register(register)) => self.part(register, false),
                    Some(Name::Symbol(symbol)) => Ok(Operand::Symbol(symbol, self.offset()?)),
                    Some(Name::Targets(index)) => Ok(Operand::Targets(index)),
                    None if word.starts_with('%') => self.special(word),
                    None => Ok(Operand::Label(scopes.mention(word, position))),
                }
            }
            _ => Err(self.lexer.expected("an operand")),
        }
    }

    /// A register, or what a word such as `.b0` behind it, or `-` before it, makes of it.
    fn part(&mut self, register: RegisterIndex, negative: bool) -> Result<Operand<'a>, Error> {
        let part = match self.lexer.peek() {
            Token::Dot(word) => {
                self.lexer.next()?;
                Some(word)
            }
            _ if negative => None,
            _ => return Ok(Operand::Register(register)),
        };
        Ok(Operand::Part {
            register,
            part,
            negative,
        })
    }

    fn resolve(&self, word: &'a str, scopes: &mut Scopes<'a>) -> Option<Name> {
        scopes
            .lookup(word)
            .or_else(|| self.names.get(word).map(|symbol| Name::Symbol(*symbol)))
    }

    fn special(&mut self, word: &'a str) -> Result<Operand<'a>, Error> {
        let component = match self.lexer.peek() {
            Token::Dot("x") => Some(Component::X),
            Token::Dot("y") => Some(Component::Y),
            Token::Dot("z") => Some(Component::Z),
            Token::Dot("w") => Some(Component::W),
            _ => None,
        };
        if component.is_some() {
            self.lexer.next()?;
        }
        Ok(Operand::Special(word, component))
    }

    /// `+4`, `-4`, `+-4`, `[4]`, or nothing.
    fn offset(&mut self) -> Result<i64, Error> {
        if self.take(b'+')? || self.lexer.peek() == Token::Mark(b'-') {
            return self.offset_value().map(i64::from);
        }
        if !self.take(b'[')? {
            return Ok(0);
        }
        let value = self.offset_value()?;
        self.expect(b']', "`]`")?;
        Ok(i64::from(value))
    }

    /// An offset in bytes, of which the ISA has 32 bits with a sign.
    pub(crate) fn offset_value(&mut self) -> Result<i32, Error> {
        let position = self.lexer.position();
        let value = self.signed("an offset")?;
        i32::try_from(value).map_err(|_| {
            let (what, limit) = ("an offset", u64::from(i32::MAX.cast_unsigned()));
            ErrorKind::TooLarge { what, limit }.at(position)
        })
    }

    fn address(&mut self, scopes: &mut Scopes<'a>) -> Result<Operand<'a>, Error> {
        self.lexer.next()?;
        let position = self.lexer.position();
        let operand = match self.lexer.peek() {
            Token::Number(Number::Integer(value)) => {
                self.lexer.next()?;
                Operand::AbsoluteAddress(value.cast_signed())
            }
            Token::Word(word) => {
                self.lexer.next()?;
                match self.resolve(word, scopes) {
                    Some(Name::Register(register)) => Operand::Address(register, self.offset()?),
                    Some(Name::Symbol(Symbol::Code(_))) => {
                        return Err(self.unsupported("a function as an address"));
                    }
                    Some(Name::Symbol(symbol)) => Operand::SymbolAddress(symbol, self.offset()?),
                    Some(Name::Targets(_)) | None => {
                        return Err(ErrorKind::Undeclared(shortened(word)).at(position));
                    }
                }
            }
            _ => return Err(self.lexer.expected("an address")),
        };
        self.expect(b']', "`]` after an address")?;
        Ok(operand)
    }
}
