//! Tests that can go on for longer: what takes minutes or thousands of rounds is a soak, `cargo xtask soak`, of which
//! `cargo xtask test` does a small part.

use std::env;

/// The environment's variable by which `cargo xtask soak` asks for more.
pub const TIMES: &str = "VGPU_STUB_SOAK_TIMES";

/// How many times as long as in `cargo xtask test` a test is to go on: 1 unless [`TIMES`] says otherwise.
///
/// # Panics
/// When it holds something else than a number from 1 on: a soak must not be a short test unnoticed.
#[must_use]
pub fn times() -> u32 {
    let Ok(text) = env::var(TIMES) else { return 1 };
    match text.parse() {
        Ok(times @ 1..) => times,
        _ => panic!("{TIMES} is {text:?}, not a number from 1 on"),
    }
}
