//! A part of shared memory, in a file.

/// A piece of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Its file's place among the files.
    pub file: usize,
    /// Where in the file it begins, a multiple of 4096.
    pub offset: u64,
    /// Its bytes, a multiple of 4096, not 0.
    pub length: u64,
}
