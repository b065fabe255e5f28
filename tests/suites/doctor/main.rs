//! `vgpu-stub doctor` in real machines: a fault is planted, exactly its point fails, and what the doctor says to type
//! mends it.
//!
//! `cargo xtask test` builds what these tests need and names it to them.

mod faults;
mod mutant;
mod patient;
