//! A VM's name in XAPI and xenopsd.

use std::fmt;
use std::str::FromStr;

/// A UUID in lower case. It is safe in a file name, and in an argument of `xe`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Uuid(String);

impl FromStr for Uuid {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let hyphens = [8, 13, 18, 23];
        let fits = text.len() == 36
            && text.bytes().enumerate().all(|(at, byte)| {
                if hyphens.contains(&at) {
                    byte == b'-'
                } else {
                    byte.is_ascii_hexdigit()
                }
            });
        if fits {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(format!("'{}' is no UUID", text.escape_debug()))
        }
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_and_nothing_else() {
        let text = "2F1A8c4e-6b0d-4d0e-9a6c-0d8f3f6f0a11";
        let uuid: Uuid = text.parse().unwrap();
        assert_eq!(uuid.to_string(), text.to_lowercase());
        for wrong in [
            "",
            "2f1a8c4e-6b0d-4d0e-9a6c-0d8f3f6f0a1",
            "2f1a8c4e-6b0d-4d0e-9a6c-0d8f3f6f0a111",
            "2f1a8c4e-6b0d-4d0e-9a6c-0d8f3f6f0a1g",
            "2f1a8c4e06b0d-4d0e-9a6c-0d8f3f6f0a11",
            "../../../../../../../../etc/passwd/x",
        ] {
            assert!(wrong.parse::<Uuid>().is_err(), "{wrong}");
        }
    }
}
