//! A VM's name in XAPI and xenopsd.

use std::fmt;
use std::str::FromStr;

/// A UUID, which is shown in lower case. It is safe in a file name, and in an argument of `xe`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Uuid(uuid::Uuid);

/// Letters of the form that XAPI writes. The crate takes others too, none of which is as long.
const LENGTH: usize = uuid::fmt::Hyphenated::LENGTH;

impl FromStr for Uuid {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let uuid = uuid::Uuid::try_parse(text).ok();
        uuid.filter(|_| text.len() == LENGTH)
            .map(Self)
            .ok_or_else(|| format!("'{}' is no UUID", text.escape_debug()))
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
            "2f1a8c4e6b0d4d0e9a6c0d8f3f6f0a11",
            "{2f1a8c4e-6b0d-4d0e-9a6c-0d8f3f6f0a11}",
            "urn:uuid:2f1a8c4e-6b0d-4d0e-9a6c-0d8f3f6f0a11",
        ] {
            assert!(wrong.parse::<Uuid>().is_err(), "{wrong}");
        }
    }
}
