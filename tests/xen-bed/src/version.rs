//! The versions of Xen that Debian has.

use std::fmt;
use std::str::FromStr;

use anyhow::{Error, bail};

/// A version of Xen, with the release of Debian that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum XenVersion {
    /// Xen 4.17, which XCP-ng 8.3 has too.
    V4_17,
    /// Xen 4.20.
    #[default]
    V4_20,
}

impl XenVersion {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::V4_17, Self::V4_20];

    /// The release of Debian.
    pub(crate) fn suite(self) -> &'static str {
        match self {
            Self::V4_17 => "bookworm",
            Self::V4_20 => "trixie",
        }
    }

    /// A package or a file by its name, in which `VERSION` stands for this one.
    pub(crate) fn named(self, name: &str) -> String {
        name.replace("VERSION", &self.to_string())
    }
}

impl fmt::Display for XenVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4_17 => "4.17",
            Self::V4_20 => "4.20",
        })
    }
}

impl FromStr for XenVersion {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match Self::ALL
            .into_iter()
            .find(|version| version.to_string() == text)
        {
            Some(version) => Ok(version),
            None => bail!(
                "the bed has Xen {} and {}, not {text}",
                Self::V4_17,
                Self::V4_20
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_as_it_is_written() {
        for version in XenVersion::ALL {
            assert_eq!(version.to_string().parse::<XenVersion>().unwrap(), version);
        }
        let error = "4.19".parse::<XenVersion>().unwrap_err().to_string();
        assert_eq!(error, "the bed has Xen 4.17 and 4.20, not 4.19");
    }
}
