//! Linking of PTX: the texts one after the other. Source: PTX ISA 11.6 (linking
//! directives).

use crate::error::{Error, ErrorKind, Position};
use crate::module::Module;
use crate::{TEXT_MAX, parse};

/// Modules that become one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Linker {
    text: String,
}

impl Linker {
    /// Adds a module, which may name what others define.
    ///
    /// # Errors
    ///
    /// It is none by itself, or all of them are too long together.
    pub fn add(&mut self, text: &str) -> Result<(), Error> {
        parse(text)?;
        let length = self.text.len().saturating_add(text.len());
        if length >= TEXT_MAX {
            let (what, limit) = ("bytes of text to link", TEXT_MAX as u64);
            return Err(ErrorKind::TooLarge { what, limit }.at(Position::default()));
        }
        self.text.push_str(text);
        self.text.push('\n');
        Ok(())
    }

    /// The linked text, and what it says.
    ///
    /// # Errors
    ///
    /// Nothing was added, or two modules define the same.
    pub fn link(&self) -> Result<(&str, Module<'_>), Error> {
        parse(&self.text).map(|module| (self.text.as_str(), module))
    }
}
