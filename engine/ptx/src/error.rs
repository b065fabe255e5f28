use std::fmt;

/// A place in the text; lines and columns count from 1, columns in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

/// The start of the text.
impl Default for Position {
    fn default() -> Self {
        Self { line: 1, column: 1 }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Why a text is not taken, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{position}: {kind}")]
pub struct Error {
    /// Where.
    pub position: Position,
    /// Why.
    pub kind: ErrorKind,
}

/// Why a text is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Not the grammar of PTX.
    #[error("expected {expected}, found {found}")]
    Syntax {
        /// What would go on.
        expected: &'static str,
        /// What stands there, shortened.
        found: String,
    },
    /// A name that nothing in its scope declares.
    #[error("nothing declares `{0}`")]
    Undeclared(String),
    /// A name that its scope has already.
    #[error("`{0}` is declared twice")]
    Duplicate(String),
    /// PTX, but a part of it that this crate does not take.
    #[error("{0} is not supported")]
    Unsupported(String),
    /// A limit of this crate.
    #[error("{what} of more than {limit}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much is taken.
        limit: u64,
    },
    /// An instruction of which no table row tells the meaning.
    #[error("unknown form `{0}`")]
    UnknownForm(String),
    /// An operand that the form does not take.
    #[error("`{form}`: operand {operand}: {why}")]
    Operand {
        /// The instruction's words, joined by dots.
        form: String,
        /// Which operand, from 1.
        operand: usize,
        /// What is wrong with it.
        why: String,
    },
}

impl ErrorKind {
    pub(crate) fn at(self, position: Position) -> Error {
        Error {
            position,
            kind: self,
        }
    }
}
