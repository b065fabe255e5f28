//! The words of an instruction.

use vgpu_ptx::Type;

/// The words of one instruction, and the types among them.
#[derive(Debug)]
pub(crate) struct Words<'a> {
    pub(crate) words: &'a [&'a str],
    pub(crate) types: Vec<Type>,
}

impl<'a> Words<'a> {
    pub(crate) fn new(words: &'a [&'a str]) -> Self {
        let types = words.iter().skip(1).filter_map(|word| Type::parse(word));
        Self {
            words,
            types: types.collect(),
        }
    }

    pub(crate) fn has(&self, word: &str) -> bool {
        self.words.contains(&word)
    }

    /// The word at `index`, the opcode being 0.
    pub(crate) fn word(&self, index: usize) -> &'a str {
        self.words.get(index).copied().unwrap_or_default()
    }

    /// The first type.
    pub(crate) fn ty(&self) -> Type {
        self.types.first().copied().unwrap_or(Type::B32)
    }

    /// The third type, or the second.
    pub(crate) fn third(&self) -> Type {
        self.types.get(2).copied().unwrap_or_else(|| self.second())
    }

    /// The second type, or the first where there is one only.
    pub(crate) fn second(&self) -> Type {
        self.types.get(1).copied().unwrap_or_else(|| self.ty())
    }
}
