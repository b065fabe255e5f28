//! CUDA calls as records of a session's ring.
//!
//! What travels is described in `cuda/idl/`; from it come the messages,
//! the program's side ([`Client`]), the host's ([`Handler`], [`dispatch`]), and
//! what reads a trace ([`describe`]). A field travels as a 64-bit word; two that
//! follow each other and are narrower share one. Data follows the fields, and the
//! record's header states its length.
#![forbid(unsafe_code)]

mod errors;
mod generated;
mod hello;
pub mod limits;
mod module;
pub mod notice;
mod record;
mod types;

pub use generated::*;
pub use hello::{Attribute, Hello};
pub use module::{FunctionDescription, ModuleDescription};
pub use record::{Answer, Caller, Class, Client, Malformed, Words};
pub use types::*;

/// What a fuzzer calls: decodes and explains any bytes.
///
/// # Panics
/// Decoding and explaining do not agree on what is a message.
pub fn fuzz(op: u16, length: u32, payload: &[u8]) {
    struct Nothing;
    impl Handler for Nothing {}
    let handled = dispatch(&mut Nothing, op, length, payload);
    let described = describe(op, length, payload);
    assert_eq!(handled.err(), described.err());
}
