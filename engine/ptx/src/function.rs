//! Kernels and functions with their bodies. Source: PTX ISA 7, 9, 11.2 to 11.4.

use crate::error::{Error, ErrorKind, Position};
use crate::lexer::{Token, shortened};
use crate::module::{Function, Guard, Instruction, Linkage, Operand, Space, Symbol, Variable};
use crate::number::Number;
use crate::parser::Parser;
use crate::scope::{Name, Scopes};
use crate::types::Type;

impl<'a> Parser<'a> {
    /// From `.entry` or `.func` to the end of the body.
    pub(crate) fn function(&mut self, linkage: Linkage, entry: bool) -> Result<(), Error> {
        self.lexer.next()?;
        let mut scopes = Scopes::new();
        if self.lexer.peek() == Token::Dot("attribute") {
            return Err(self.unsupported("`.attribute` of a function"));
        }
        let returns = match self.lexer.peek() {
            Token::Mark(b'(') => self.parameters(&mut scopes, true)?,
            _ => Vec::new(),
        };
        let position = self.lexer.position();
        let name = self.word("a function's name")?;
        let parameters = match self.lexer.peek() {
            Token::Mark(b'(') => self.parameters(&mut scopes, false)?,
            _ => Vec::new(),
        };
        let index = self.declare_function(name, linkage, position)?;
        let mut function = Function {
            position,
            linkage,
            name,
            entry,
            returns,
            parameters,
            max_threads: None,
            required_threads: None,
            registers: Vec::new(),
            variables: Vec::new(),
            instructions: Vec::new(),
            targets: Vec::new(),
            defined: false,
        };
        self.function_directives(&mut function)?;
        if self.take(b'{')? {
            function.defined = true;
            self.body(&mut function, &mut scopes)?;
            self.take(b';')?;
        } else {
            self.expect(b';', "a body, or `;`")?;
        }
        let Some(known) = self.module.functions.get_mut(index as usize) else {
            return Ok(());
        };
        match (known.defined, function.defined) {
            (true, true) if linkage.yields_to(known.linkage) => Ok(()),
            (true, true) if known.linkage.yields_to(linkage) => {
                *known = function;
                Ok(())
            }
            (true, true) => Err(ErrorKind::Duplicate(shortened(name)).at(position)),
            (true, false) => Ok(()),
            (false, _) => {
                *known = function;
                Ok(())
            }
        }
    }

    /// The place of function `name`, which may call itself.
    fn declare_function(
        &mut self,
        name: &'a str,
        linkage: Linkage,
        position: Position,
    ) -> Result<u32, Error> {
        match self.known(name, linkage) {
            Some(Symbol::Code(index)) => return Ok(index),
            Some(_) => return Err(ErrorKind::Duplicate(shortened(name)).at(position)),
            None => {}
        }
        let index = u32::try_from(self.module.functions.len()).unwrap_or(u32::MAX);
        self.name(name, Symbol::Code(index), linkage);
        self.module.functions.push(Function {
            position,
            linkage: Linkage::Extern,
            name,
            entry: false,
            returns: Vec::new(),
            parameters: Vec::new(),
            max_threads: None,
            required_threads: None,
            registers: Vec::new(),
            variables: Vec::new(),
            instructions: Vec::new(),
            targets: Vec::new(),
            defined: false,
        });
        Ok(index)
    }

    fn parameters(
        &mut self,
        scopes: &mut Scopes<'a>,
        returns: bool,
    ) -> Result<Vec<Variable<'a>>, Error> {
        self.expect(b'(', "`(`")?;
        let mut all = Vec::new();
        while !self.take(b')')? {
            if !all.is_empty() {
                self.expect(b',', "`,` or `)`")?;
            }
            let space = match self.lexer.peek() {
                Token::Dot("param") => Space::Parameter,
                Token::Dot("reg") => return Err(self.unsupported("a parameter in a register")),
                _ => return Err(self.lexer.expected("`.param`")),
            };
            self.lexer.next()?;
            let variable = self.variable(Linkage::Module, space)?;
            let index = u32::try_from(all.len()).unwrap_or(u32::MAX);
            let symbol = match returns {
                true => Symbol::Return(index),
                false => Symbol::Parameter(index),
            };
            if variable.name != "_" {
                scopes.symbol(variable.name, symbol, variable.position)?;
            }
            all.push(variable);
        }
        Ok(all)
    }

    fn function_directives(&mut self, function: &mut Function<'a>) -> Result<(), Error> {
        while let Token::Dot(word) = self.lexer.peek() {
            if word == "pragma" {
                self.until_semicolon()?;
                continue;
            }
            self.lexer.next()?;
            let mut numbers = Vec::new();
            while let Token::Number(Number::Integer(value)) = self.lexer.peek() {
                self.lexer.next()?;
                numbers.push(u32::try_from(value).unwrap_or(u32::MAX));
                if numbers.len() > 3 || !self.take(b',')? {
                    break;
                }
            }
            let dimensions = || {
                let mut all = [1; 3];
                all.iter_mut()
                    .zip(&numbers)
                    .for_each(|(to, from)| *to = *from);
                Some(all)
            };
            match word {
                "maxntid" => function.max_threads = dimensions(),
                "reqntid" => function.required_threads = dimensions(),
                "minnctapersm" | "maxnctapersm" | "maxnreg" | "noreturn" | "maxclusterrank" => {}
                _ => return Err(self.unsupported(&format!("`.{}` of a function", shortened(word)))),
            }
        }
        Ok(())
    }

    fn body(&mut self, function: &mut Function<'a>, scopes: &mut Scopes<'a>) -> Result<(), Error> {
        loop {
            let position = self.lexer.position();
            match self.lexer.peek() {
                Token::Mark(b'{') => {
                    self.lexer.next()?;
                    scopes.enter(position)?;
                }
                Token::Mark(b'}') => {
                    self.lexer.next()?;
                    if !scopes.leave() {
                        break;
                    }
                }
                Token::Mark(b';') => drop(self.lexer.next()?),
                Token::Dot(word) => self.body_directive(word, function, scopes)?,
                Token::Mark(b'@') => {
                    self.lexer.next()?;
                    let negated = self.take(b'!')?;
                    let at = self.lexer.position();
                    let name = self.word("a predicate")?;
                    let Some(Name::Register(register)) = scopes.lookup(name) else {
                        return Err(ErrorKind::Undeclared(shortened(name)).at(at));
                    };
                    let guard = Guard { register, negated };
                    let at = self.lexer.position();
                    let word = self.word("an instruction")?;
                    self.instruction(word, at, Some(guard), function, scopes)?;
                }
                Token::Word(word) => {
                    self.lexer.next()?;
                    if !self.take(b':')? {
                        self.instruction(word, position, None, function, scopes)?;
                    } else if self.lexer.peek() == Token::Dot("branchtargets") {
                        self.targets(word, position, function, scopes)?;
                    } else if matches!(
                        self.lexer.peek(),
                        Token::Dot("callprototype" | "calltargets")
                    ) {
                        // A call is checked against the function that it reaches.
                        self.until_semicolon()?;
                    } else {
                        let index = u32::try_from(function.instructions.len()).unwrap_or(u32::MAX);
                        scopes.label(word, index, position)?;
                    }
                }
                _ => return Err(self.lexer.expected("an instruction")),
            }
        }
        for instruction in &mut function.instructions {
            for operand in &mut instruction.operands {
                if let Operand::Label(label) = operand {
                    *label = scopes.target(*label)?;
                }
            }
        }
        for label in function.targets.iter_mut().flatten() {
            *label = scopes.target(*label)?;
        }
        function.registers = std::mem::take(&mut scopes.registers);
        Ok(())
    }

    /// `NAME: .branchtargets label, label;`
    fn targets(
        &mut self,
        name: &'a str,
        position: Position,
        function: &mut Function<'a>,
        scopes: &mut Scopes<'a>,
    ) -> Result<(), Error> {
        self.lexer.next()?;
        let mut all = Vec::new();
        loop {
            let at = self.lexer.position();
            let label = self.word("a label")?;
            all.push(scopes.mention(label, at));
            if !self.take(b',')? {
                break;
            }
        }
        self.expect(b';', "`;` after labels")?;
        let index = u32::try_from(function.targets.len()).unwrap_or(u32::MAX);
        function.targets.push(all);
        scopes.targets(name, index, position)
    }

    fn body_directive(
        &mut self,
        word: &'a str,
        function: &mut Function<'a>,
        scopes: &mut Scopes<'a>,
    ) -> Result<(), Error> {
        let position = self.lexer.position();
        let space = match word {
            "loc" | "file" => return self.lexer.skip_line(position.line),
            "pragma" => return self.until_semicolon(),
            "reg" => return self.registers(scopes),
            "local" => Space::Local,
            "shared" => Space::Shared,
            "param" => Space::Parameter,
            _ => return Err(self.unsupported(&format!("`.{}` in a function", shortened(word)))),
        };
        self.lexer.next()?;
        for variable in self.variables(Linkage::Module, space)? {
            let index = u32::try_from(function.variables.len()).unwrap_or(u32::MAX);
            scopes.symbol(variable.name, Symbol::Function(index), variable.position)?;
            function.variables.push(variable);
        }
        Ok(())
    }

    /// `.reg .b32 %r<5>, %x;`
    fn registers(&mut self, scopes: &mut Scopes<'a>) -> Result<(), Error> {
        self.lexer.next()?;
        let ty = match self.lexer.peek() {
            Token::Dot(word) => Type::parse(word),
            _ => None,
        };
        let Some(ty) = ty else {
            return Err(self.lexer.expected("the type of a register"));
        };
        self.lexer.next()?;
        loop {
            let position = self.lexer.position();
            let name = self.word("a register")?;
            if self.take(b'<')? {
                let count = self.integer("a count")?;
                let count = u32::try_from(count).unwrap_or(u32::MAX);
                self.expect(b'>', "`>`")?;
                scopes.range(name, ty, count, position)?;
            } else {
                scopes.register(name, ty, position)?;
            }
            if !self.take(b',')? {
                break;
            }
        }
        self.expect(b';', "`;` after registers")
    }

    /// What follows the opcode, to the semicolon.
    fn instruction(
        &mut self,
        opcode: &'a str,
        position: Position,
        guard: Option<Guard>,
        function: &mut Function<'a>,
        scopes: &mut Scopes<'a>,
    ) -> Result<(), Error> {
        self.instructions = self.instructions.saturating_add(1);
        if self.instructions > crate::INSTRUCTIONS_MAX {
            let (what, limit) = ("instructions", u64::from(crate::INSTRUCTIONS_MAX));
            return Err(ErrorKind::TooLarge { what, limit }.at(position));
        }
        let mut words = vec![opcode];
        while let Token::Dot(word) = self.lexer.peek() {
            self.lexer.next()?;
            words.push(word);
        }
        let mut operands = Vec::new();
        while !self.take(b';')? {
            if !operands.is_empty() {
                self.expect(b',', "`,` or `;`")?;
            }
            if opcode == "call" && operands.len() >= 2 && self.prototype()? {
                continue;
            }
            operands.push(self.operand(scopes)?);
        }
        function.instructions.push(Instruction {
            position,
            guard,
            words,
            operands,
        });
        Ok(())
    }

    /// The prototype or the targets of an indirect call, which come last.
    fn prototype(&mut self) -> Result<bool, Error> {
        let named = matches!(self.lexer.peek(), Token::Word(_));
        if named {
            self.lexer.next()?;
        }
        Ok(named)
    }

    pub(crate) fn unsupported(&self, what: &str) -> Error {
        ErrorKind::Unsupported(what.into()).at(self.lexer.position())
    }
}
