//! A row of the table of forms.

use crate::code::Action;
use crate::words::Words;

/// One row of the table.
#[derive(Clone, Copy)]
pub struct Form {
    /// Words and operands, as described above the table.
    pub syntax: &'static str,
    /// The section of the PTX ISA 8.7 that says what it means.
    pub section: &'static str,
    /// What executes it, by its words; `None` where the ISA has no such words.
    pub(crate) semantics: fn(&Words<'_>) -> Option<Action>,
}

impl std::fmt::Debug for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.syntax, self.section)
    }
}
