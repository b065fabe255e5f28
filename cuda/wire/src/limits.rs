//! How many of a kind a program may have at a time.
//!
//! What is made without a wait cannot be refused: a program's library keeps these,
//! and gives `CUDA_ERROR_OUT_OF_MEMORY` beyond. A host has room for twice as many,
//! as one thread's new one may be sent before the end of another thread's.

/// Streams.
pub const STREAMS: usize = 32_768;
/// Events.
pub const EVENTS: usize = 32_768;
/// Links, each of which holds the text of its images.
pub const LINKS: usize = 32;
