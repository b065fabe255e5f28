//! Fuzz targets. Each takes any bytes, does with them what a guest, a client
//! or a damaged file could, and panics where something does not hold that has
//! to: see `docs/fuzzing.md`.
//!
//! A target is a plain function, so seeds and former crashes run as ordinary
//! tests too.
#![forbid(unsafe_code)]

mod input;
mod list;
mod targets;

pub use input::Input;
pub use list::{TARGETS, Target};

/// Runs a target on `bytes`.
///
/// # Panics
///
/// If something does not hold, or more memory is in use at a time than the
/// target's bound.
pub fn execute(target: &Target, bytes: &[u8]) {
    let function = targets::function(target.name).expect("each target has a function");
    let used = allocation_counter::measure(|| function(bytes));
    let bound = target.memory + target.memory_per_byte * bytes.len() as u64;
    assert!(
        used.bytes_max <= bound,
        "{} bytes of memory in use at a time, of at most {bound}",
        used.bytes_max
    );
}
