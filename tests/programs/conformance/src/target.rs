//! What the suite runs against.

use std::fmt;

/// A device under test, reached as a guest reaches it.
pub trait Target {
    /// Reads `size` (1, 2, 4) bytes of config space at an aligned offset.
    ///
    /// # Errors
    ///
    /// If the access cannot be made; never because of what the device answers.
    fn config_read(&mut self, offset: u16, size: usize) -> Result<u32, Error>;

    /// Writes `size` (1, 2, 4) bytes of config space at an aligned offset.
    ///
    /// # Errors
    ///
    /// If the access cannot be made.
    fn config_write(&mut self, offset: u16, size: usize, value: u32) -> Result<(), Error>;

    /// Reads `size` (1, 2, 4, 8) bytes at an aligned offset in BAR0, where its
    /// register now says that it is.
    ///
    /// # Errors
    ///
    /// If the access cannot be made.
    fn bar0_read(&mut self, offset: u64, size: usize) -> Result<u64, Error>;

    /// Writes `size` (1, 2, 4, 8) bytes at an aligned offset in BAR0.
    ///
    /// # Errors
    ///
    /// If the access cannot be made.
    fn bar0_write(&mut self, offset: u64, size: usize, value: u64) -> Result<(), Error>;

    /// A second guest-physical address where the suite may place BAR0 and
    /// reach it; `None` skips the cases that need one.
    fn spare_address(&self) -> Option<u32> {
        None
    }

    /// Sets the Status register from the host's side. `None` skips the cases
    /// that need it.
    fn set_status(&mut self, _status: u32) -> Option<Result<(), Error>> {
        None
    }
}

/// Why a case did not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// The device answered something else than it should.
    Mismatch(String),
    /// The driver could not make an access.
    Access(String),
    /// The target has no way to do what the case needs.
    Unsupported(&'static str),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mismatch(text) => f.write_str(text),
            Self::Access(text) => write!(f, "access failed: {text}"),
            Self::Unsupported(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Error {}
