//! PTX text to a [`Module`].
//!
//! The parser is generic: an instruction is a list of words (`mad`, `lo`,
//! `s32`) and a list of operands, and which lists mean something is not its
//! business but that of the table of forms of whoever executes it. It knows
//! the directives, resolves names, and lays nothing out.
//!
//! The text comes from a guest. No text panics, recurses without bound, or
//! allocates more than a small multiple of its own length: `.reg .b32
//! %r<4000000000>` declares names, and a register exists once one is used.
//!
//! Source: PTX ISA 8.7, chapters 4 (syntax), 5 (state spaces, types, variables),
//! 7 (functions) and 11 (directives).
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

mod error;
mod function;
pub mod image;
mod lexer;
mod limits;
mod linker;
mod module;
mod number;
mod operand;
mod parse;
mod parser;
mod producer;
mod scope;
mod types;
mod variable;

pub use error::{Error, ErrorKind, Position};
pub use lexer::shortened;
pub use limits::{INSTRUCTIONS_MAX, TEXT_MAX};
pub use linker::Linker;
pub use module::{
    Component, Function, FunctionIndex, Guard, Initializer, Instruction, Linkage, Module, Operand,
    Register, RegisterIndex, Space, Symbol, Variable, VariableIndex,
};
pub use parse::parse;
pub use producer::{Producer, producer};
pub use types::{Class, Type};
