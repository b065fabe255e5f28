//! Names inside a function: blocks in braces hide what is outside them.

use std::collections::HashMap;

use crate::error::{Error, ErrorKind, Position};
use crate::lexer::shortened;
use crate::module::{Register, RegisterIndex, Symbol};
use crate::types::Type;

/// What a name of a function's body stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Name {
    Register(RegisterIndex),
    Symbol(Symbol),
    /// A list of labels: its index.
    Targets(u32),
}

#[derive(Debug, Default)]
struct Block<'a> {
    parent: usize,
    names: HashMap<&'a str, Declared>,
    /// `%r<100>`: the prefix to the type, the count, and the registers in use.
    ranges: HashMap<&'a str, (Type, u32)>,
    labels: HashMap<&'a str, u32>,
}

#[derive(Debug, Clone, Copy)]
enum Declared {
    Register(Type),
    Name(Name),
}

/// The blocks of one function, open and closed.
#[derive(Debug)]
pub(crate) struct Scopes<'a> {
    blocks: Vec<Block<'a>>,
    open: usize,
    depth: usize,
    /// The registers in use.
    pub(crate) registers: Vec<Register<'a>>,
    /// Labels that instructions name: name, block, where.
    targets: Vec<(&'a str, usize, Position)>,
}

/// How deep blocks may lie in each other.
const DEPTH_MAX: usize = 64;
/// How many blocks a function may have: each takes more room than its two braces.
const BLOCKS_MAX: usize = 1 << 16;

impl<'a> Scopes<'a> {
    pub(crate) fn new() -> Self {
        Self {
            blocks: vec![Block::default()],
            open: 0,
            depth: 0,
            registers: Vec::new(),
            targets: Vec::new(),
        }
    }

    fn block(&mut self) -> Option<&mut Block<'a>> {
        self.blocks.get_mut(self.open)
    }

    /// Opens a block.
    pub(crate) fn enter(&mut self, position: Position) -> Result<(), Error> {
        if self.depth >= DEPTH_MAX {
            let limit = DEPTH_MAX as u64;
            let what = "nested blocks";
            return Err(ErrorKind::TooLarge { what, limit }.at(position));
        }
        if self.blocks.len() >= BLOCKS_MAX {
            let limit = BLOCKS_MAX as u64;
            let what = "blocks in a function";
            return Err(ErrorKind::TooLarge { what, limit }.at(position));
        }
        let parent = self.open;
        self.open = self.blocks.len();
        self.depth = self.depth.saturating_add(1);
        self.blocks.push(Block {
            parent,
            ..Block::default()
        });
        Ok(())
    }

    /// Closes the innermost block; false where it is the function's own.
    pub(crate) fn leave(&mut self) -> bool {
        let Some(depth) = self.depth.checked_sub(1) else {
            return false;
        };
        self.depth = depth;
        self.open = self.blocks.get(self.open).map_or(0, |block| block.parent);
        true
    }

    /// Declares one register.
    pub(crate) fn register(&mut self, name: &'a str, ty: Type, at: Position) -> Result<(), Error> {
        self.declare(name, Declared::Register(ty), at)
    }

    /// Declares `prefix0` to `prefix(count - 1)`.
    pub(crate) fn range(
        &mut self,
        prefix: &'a str,
        ty: Type,
        count: u32,
        at: Position,
    ) -> Result<(), Error> {
        let before = self
            .block()
            .and_then(|b| b.ranges.insert(prefix, (ty, count)));
        match before {
            None => Ok(()),
            Some(_) => Err(ErrorKind::Duplicate(shortened(prefix)).at(at)),
        }
    }

    /// Declares a variable.
    pub(crate) fn symbol(&mut self, name: &'a str, s: Symbol, at: Position) -> Result<(), Error> {
        self.declare(name, Declared::Name(Name::Symbol(s)), at)
    }

    /// Declares a list of labels.
    pub(crate) fn targets(&mut self, name: &'a str, index: u32, at: Position) -> Result<(), Error> {
        self.declare(name, Declared::Name(Name::Targets(index)), at)
    }

    fn declare(&mut self, name: &'a str, declared: Declared, at: Position) -> Result<(), Error> {
        match self.block().and_then(|b| b.names.insert(name, declared)) {
            None => Ok(()),
            Some(_) => Err(ErrorKind::Duplicate(shortened(name)).at(at)),
        }
    }

    /// Declares a label of the open block, ahead of instruction `index`.
    pub(crate) fn label(&mut self, name: &'a str, index: u32, at: Position) -> Result<(), Error> {
        match self.block().and_then(|b| b.labels.insert(name, index)) {
            None => Ok(()),
            Some(_) => Err(ErrorKind::Duplicate(shortened(name)).at(at)),
        }
    }

    /// A mention of a label: the number to be handed to [`Self::target`] at the end.
    pub(crate) fn mention(&mut self, name: &'a str, at: Position) -> u32 {
        let index = u32::try_from(self.targets.len()).unwrap_or(u32::MAX);
        self.targets.push((name, self.open, at));
        index
    }

    /// The place of the label of mention `index`.
    pub(crate) fn target(&self, index: u32) -> Result<u32, Error> {
        let Some(&(name, mut block, at)) = self.targets.get(index as usize) else {
            return Ok(0);
        };
        while let Some(found) = self.blocks.get(block) {
            if let Some(place) = found.labels.get(name) {
                return Ok(*place);
            }
            if block == 0 {
                break;
            }
            block = found.parent;
        }
        Err(ErrorKind::Undeclared(shortened(name)).at(at))
    }

    /// What `name` stands for, seen from the open block.
    pub(crate) fn lookup(&mut self, name: &'a str) -> Option<Name> {
        let mut index = self.open;
        loop {
            let block = self.blocks.get_mut(index)?;
            match block.names.get(name).copied() {
                Some(Declared::Name(found)) => return Some(found),
                Some(Declared::Register(ty)) => return Some(self.instantiate(index, name, ty)),
                None => {}
            }
            if let Some(ty) = in_range(block, name) {
                return Some(self.instantiate(index, name, ty));
            }
            if index == 0 {
                return None;
            }
            index = self.blocks.get(index)?.parent;
        }
    }

    /// Makes the register of a declaration that is used for the first time.
    fn instantiate(&mut self, block: usize, name: &'a str, ty: Type) -> Name {
        let index = u32::try_from(self.registers.len()).unwrap_or(u32::MAX);
        self.registers.push(Register { name, ty });
        let found = Name::Register(index);
        if let Some(block) = self.blocks.get_mut(block) {
            block.names.insert(name, Declared::Name(found));
        }
        found
    }
}

/// The type of `name` where a range of `block` has it.
fn in_range(block: &Block<'_>, name: &str) -> Option<Type> {
    // A count has ten digits at most.
    let digits = name
        .bytes()
        .rev()
        .take(10)
        .take_while(u8::is_ascii_digit)
        .count();
    let first = name.len().saturating_sub(digits);
    // A prefix may itself end in digits: every split has a chance.
    (first..name.len()).find_map(|split| {
        let (prefix, number) = name.split_at_checked(split)?;
        let (ty, count) = block.ranges.get(prefix)?;
        let canonical = number == "0" || !number.starts_with('0');
        (canonical && number.parse::<u32>().ok()? < *count).then_some(*ty)
    })
}
