//! CUDA calls as records of a session's ring.
//!
//! What travels is described in `cuda/idl/`; from it come the messages,
//! the program's side ([`Client`]), the host's ([`Handler`], [`dispatch`]), and
//! what reads a trace ([`describe`]). Every field travels as one 64-bit word.
#![forbid(unsafe_code)]

mod errors;
mod generated;
mod hello;
pub mod limits;
mod module;
mod record;
mod types;

pub use generated::*;
pub use hello::{Attribute, Hello};
pub use module::{FunctionDescription, ModuleDescription};
pub use record::{Answer, Caller, Class, Client, Malformed, Words, words};
pub use types::*;

/// What a fuzzer calls: decodes and explains any bytes.
///
/// # Panics
/// Decoding and explaining do not agree on what is a message.
pub fn fuzz(op: u16, payload: &[u8]) {
    struct Nothing;
    impl Handler for Nothing {}
    let handled = dispatch(&mut Nothing, op, payload);
    let described = describe(op, payload);
    assert_eq!(handled.err(), described.err());
}
