//! What the driver answers, as an engine says it.

use vgpu_engine::{Error, ErrorKind, Result};

/// `CUDA_SUCCESS`.
pub(crate) const SUCCESS: u32 = 0;

/// Checks a `CUresult`.
pub(crate) fn check(what: &str, code: u32) -> Result<()> {
    match code {
        SUCCESS => Ok(()),
        code => Err(error(what, code)),
    }
}

/// The error of a `CUresult`. A number that engines have no name for is
/// [`ErrorKind::Unknown`], and stands in the text.
pub(crate) fn error(what: &str, code: u32) -> Error {
    let kind = ErrorKind::from_code(code).unwrap_or(ErrorKind::Unknown);
    Error::new(kind, format!("{what}: the driver gives CUresult {code}"))
}

/// An argument that is wrong before the driver sees it.
pub(crate) fn invalid(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidValue, text)
}

#[cfg(test)]
mod tests {
    use super::{ErrorKind, check, error};

    #[test]
    fn a_number_keeps_its_meaning_and_an_unknown_one_its_number() {
        assert!(check("x", 0).is_ok());
        for code in [
            1, 2, 46, 200, 209, 218, 222, 400, 500, 700, 716, 719, 801, 999,
        ] {
            assert_eq!(error("x", code).kind.code(), code);
        }
        let error = error("cuMemMap", 4711);
        assert_eq!(error.kind, ErrorKind::Unknown);
        assert!(error.text.contains("cuMemMap") && error.text.contains("4711"));
    }
}
