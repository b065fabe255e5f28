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
mod linker;
mod module;
mod number;
mod operand;
mod parser;
mod producer;
mod scope;
mod types;
mod variable;

pub use error::{Error, ErrorKind, Position};
pub use linker::Linker;
pub use module::{
    Component, Function, FunctionIndex, Guard, Initializer, Instruction, Linkage, Module, Operand,
    Register, RegisterIndex, Space, Symbol, Variable, VariableIndex,
};
pub use producer::{Producer, producer};
pub use types::{Class, Type};

/// The longest text that [`parse`] takes, in bytes.
pub const TEXT_MAX: usize = 16 << 20;

/// The most instructions of a module.
pub const INSTRUCTIONS_MAX: u32 = 1 << 20;

/// Reads one PTX module, or several that were linked: each begins with
/// `.version`, and sees of the others what is `.visible`, `.weak` or `.common`.
///
/// # Errors
///
/// Text that is no PTX, names what nothing declared, or passes a limit; with
/// the line and the column.
///
/// ```
/// let module = vgpu_ptx::parse(
///     ".version 7.0\n.target sm_70\n.address_size 64\n\
///      .visible .entry f(.param .u32 n) { .reg .u32 %r<2>; ld.param.u32 %r1, [n]; ret; }",
/// )?;
/// assert_eq!(module.functions[0].name, "f");
/// assert_eq!(module.functions[0].instructions[0].form(), "ld.param.u32");
/// # Ok::<(), vgpu_ptx::Error>(())
/// ```
pub fn parse(text: &str) -> Result<Module<'_>, Error> {
    parser::Parser::new(text)?.module()
}
