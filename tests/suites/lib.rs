//! The product in machines: a folder for each suite, which `cargo xtask test` runs.
#![forbid(unsafe_code)]
