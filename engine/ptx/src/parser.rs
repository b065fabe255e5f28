//! The module: directives outside functions. Source: PTX ISA 11.

use std::collections::HashMap;

use crate::error::{Error, ErrorKind};
use crate::lexer::{Lexer, Token, shortened};
use crate::module::{Linkage, Module, Space, Symbol};
use crate::number::Number;

pub(crate) struct Parser<'a> {
    pub(crate) lexer: Lexer<'a>,
    pub(crate) module: Module<'a>,
    /// What names of the module at hand stand for.
    pub(crate) names: HashMap<&'a str, Symbol>,
    /// The names of all modules of the text that others see.
    exported: HashMap<&'a str, Symbol>,
    /// Instructions so far, of all functions.
    pub(crate) instructions: u32,
}

impl<'a> Parser<'a> {
    pub(crate) fn new(text: &'a str) -> Result<Self, Error> {
        if text.len() > crate::TEXT_MAX {
            let limit = crate::TEXT_MAX as u64;
            let what = "bytes of text";
            return Err(ErrorKind::TooLarge { what, limit }.at(crate::Position::default()));
        }
        Ok(Self {
            lexer: Lexer::new(text)?,
            module: Module {
                version: (0, 0),
                target: "",
                variables: Vec::new(),
                functions: Vec::new(),
            },
            names: HashMap::new(),
            exported: HashMap::new(),
            instructions: 0,
        })
    }

    pub(crate) fn module(mut self) -> Result<Module<'a>, Error> {
        self.header()?;
        loop {
            match self.lexer.peek() {
                Token::End => return Ok(self.module),
                // The next one of a linked text.
                Token::Dot("version") => {
                    self.names.clear();
                    self.header()?;
                }
                Token::Dot(word) => self.directive(word)?,
                // `extern ;`-like leftovers of generators.
                Token::Mark(b';') => drop(self.lexer.next()?),
                _ => return Err(self.lexer.expected("a directive")),
            }
        }
    }

    fn header(&mut self) -> Result<(), Error> {
        self.dot("version", "`.version` first")?;
        let position = self.lexer.position();
        let version = match self.lexer.next()? {
            Token::Number(Number::Double(bits)) => {
                // "7.8" is read as a fraction; major and minor are small.
                let tenths = (f64::from_bits(bits) * 10.0).round().clamp(0.0, 10_000.0) as u32;
                (tenths / 10, tenths % 10)
            }
            _ => {
                let found = "no version".into();
                let expected = "a version such as 7.0";
                return Err(ErrorKind::Syntax { expected, found }.at(position));
            }
        };
        self.module.version = self.module.version.max(version);
        self.dot("target", "`.target` after the version")?;
        let target = self.word("a target such as sm_70")?;
        if self.module.target.is_empty() {
            self.module.target = target;
        }
        while self.take(b',')? {
            self.word("a target option")?;
        }
        Ok(())
    }

    fn directive(&mut self, word: &'a str) -> Result<(), Error> {
        let position = self.lexer.position();
        match word {
            "address_size" => {
                self.lexer.next()?;
                let position = self.lexer.position();
                if self.integer("an address size")? != 64 {
                    let what = "an address size other than 64".into();
                    return Err(ErrorKind::Unsupported(what).at(position));
                }
                Ok(())
            }
            "file" | "loc" => self.lexer.skip_line(position.line),
            "section" => self.section(),
            "pragma" | "alias" => self.until_semicolon(),
            "visible" | "extern" | "weak" | "common" => {
                self.lexer.next()?;
                self.declaration(match word {
                    "visible" => Linkage::Visible,
                    "extern" => Linkage::Extern,
                    "weak" => Linkage::Weak,
                    _ => Linkage::Common,
                })
            }
            _ => self.declaration(Linkage::Module),
        }
    }

    fn declaration(&mut self, linkage: Linkage) -> Result<(), Error> {
        let Token::Dot(word) = self.lexer.peek() else {
            return Err(self.lexer.expected("a declaration"));
        };
        let space = match word {
            "entry" | "func" => return self.function(linkage, word == "entry"),
            "global" => Space::Global,
            "const" => Space::Constant,
            "shared" => Space::Shared,
            "local" => Space::Local,
            "tex" | "reg" | "param" | "alias" => {
                let what = format!("`.{word}` outside a function");
                return Err(ErrorKind::Unsupported(what).at(self.lexer.position()));
            }
            _ => return Err(self.lexer.expected("a declaration")),
        };
        self.lexer.next()?;
        for variable in self.variables(linkage, space)? {
            let index = u32::try_from(self.module.variables.len()).unwrap_or(u32::MAX);
            let known = match self.known(variable.name, linkage) {
                Some(Symbol::Module(known)) => self.module.variables.get_mut(known as usize),
                Some(_) => {
                    let name = shortened(variable.name);
                    return Err(ErrorKind::Duplicate(name).at(variable.position));
                }
                None => None,
            };
            match known {
                None => {
                    self.name(variable.name, Symbol::Module(index), linkage);
                    self.module.variables.push(variable);
                }
                // A declaration ahead of the definition, or after it.
                Some(known) if linkage.yields_to(known.linkage) => {}
                Some(known) if known.linkage.yields_to(linkage) => *known = variable,
                Some(_) => {
                    let name = shortened(variable.name);
                    return Err(ErrorKind::Duplicate(name).at(variable.position));
                }
            }
        }
        Ok(())
    }

    /// What a name stands for that is declared: in this module, or, where others
    /// see it, in one before.
    pub(crate) fn known(&mut self, name: &'a str, linkage: Linkage) -> Option<Symbol> {
        let own = self.names.get(name);
        let found = match linkage {
            Linkage::Module => own,
            _ => own.or_else(|| self.exported.get(name)),
        };
        let found = *found?;
        self.name(name, found, linkage);
        Some(found)
    }

    /// Declares a name.
    pub(crate) fn name(&mut self, name: &'a str, symbol: Symbol, linkage: Linkage) {
        self.names.insert(name, symbol);
        if linkage != Linkage::Module {
            self.exported.insert(name, symbol);
        }
    }

    /// `.section NAME { … }`: debug information.
    fn section(&mut self) -> Result<(), Error> {
        while self.lexer.peek() != Token::Mark(b'{') {
            if self.lexer.next()? == Token::End {
                return Err(self.lexer.expected("`{` of a section"));
            }
        }
        let mut depth = 0u32;
        loop {
            match self.lexer.next()? {
                Token::Mark(b'{') => depth = depth.saturating_add(1),
                Token::Mark(b'}') => depth = depth.saturating_sub(1),
                Token::End => return Err(self.lexer.expected("`}` of a section")),
                _ => {}
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }

    pub(crate) fn until_semicolon(&mut self) -> Result<(), Error> {
        loop {
            match self.lexer.next()? {
                Token::Mark(b';') => return Ok(()),
                Token::End => return Err(self.lexer.expected("`;`")),
                _ => {}
            }
        }
    }

    // What all parts read with.

    pub(crate) fn take(&mut self, mark: u8) -> Result<bool, Error> {
        let there = self.lexer.peek() == Token::Mark(mark);
        if there {
            self.lexer.next()?;
        }
        Ok(there)
    }

    pub(crate) fn expect(&mut self, mark: u8, expected: &'static str) -> Result<(), Error> {
        if self.take(mark)? {
            return Ok(());
        }
        Err(self.lexer.expected(expected))
    }

    pub(crate) fn word(&mut self, expected: &'static str) -> Result<&'a str, Error> {
        let Token::Word(word) = self.lexer.peek() else {
            return Err(self.lexer.expected(expected));
        };
        self.lexer.next()?;
        Ok(word)
    }

    fn dot(&mut self, word: &str, expected: &'static str) -> Result<(), Error> {
        if self.lexer.peek() != Token::Dot(word) {
            return Err(self.lexer.expected(expected));
        }
        self.lexer.next()?;
        Ok(())
    }

    pub(crate) fn integer(&mut self, expected: &'static str) -> Result<u64, Error> {
        let Token::Number(Number::Integer(value)) = self.lexer.peek() else {
            return Err(self.lexer.expected(expected));
        };
        self.lexer.next()?;
        Ok(value)
    }

    /// An integer with an optional sign.
    pub(crate) fn signed(&mut self, expected: &'static str) -> Result<i128, Error> {
        let negative = self.take(b'-')?;
        let value = i128::from(self.integer(expected)?);
        Ok(if negative {
            value.saturating_neg()
        } else {
            value
        })
    }
}
