//! Names and texts of errors.

use core::ffi::CStr;

use crate::CUresult;
use crate::generated::ERRORS;

impl CUresult {
    /// Its name, where it has one.
    #[must_use]
    pub fn name(self) -> Option<&'static CStr> {
        self.row().map(|row| row.1)
    }

    /// What it means, where that is known.
    #[must_use]
    pub fn text(self) -> Option<&'static CStr> {
        self.row().map(|row| row.2)
    }

    fn row(self) -> Option<&'static (u32, &'static CStr, &'static CStr)> {
        ERRORS.iter().find(|row| row.0 == self.0)
    }
}
