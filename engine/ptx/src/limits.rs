//! What a module may have at most.

/// The longest text that [`parse`](crate::parse) takes, in bytes.
pub const TEXT_MAX: usize = 16 << 20;

/// The most instructions of a module.
pub const INSTRUCTIONS_MAX: u32 = 1 << 20;
