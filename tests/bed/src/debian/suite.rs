//! Releases, and where their packages are.

use std::fmt;
use std::fs;

use anyhow::{Context, Result, anyhow};

use crate::host_packages::Package;
use vgpu_terminal::OrMend;

/// A release of Debian or Ubuntu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suite {
    distribution: &'static Distribution,
    codename: String,
    /// Newer packages for this release are preferred.
    backports: bool,
}

/// What the suites of one distribution have in common.
#[derive(Debug, PartialEq, Eq)]
struct Distribution {
    name: &'static str,
    components: &'static str,
    /// The package with `keyring`.
    keyring_package: &'static str,
    keyring: &'static str,
    archives: &'static [Archive],
}

/// What follows the codename in the name of the suite with backports.
const BACKPORTS: &str = "-backports";

/// One tree of an archive.
#[derive(Debug, PartialEq, Eq)]
struct Archive {
    /// The label in its Release file.
    label: &'static str,
    uri: &'static str,
    /// What follows the codename in the name of a suite.
    suffixes: &'static [&'static str],
    /// Whether the suite with the release's backports is here.
    backports: bool,
}

static DEBIAN: Distribution = Distribution {
    name: "Debian",
    components: "main",
    keyring_package: "debian-archive-keyring",
    keyring: "/usr/share/keyrings/debian-archive-keyring.gpg",
    archives: &[
        Archive {
            label: "Debian",
            uri: "http://deb.debian.org/debian",
            suffixes: &["", "-updates"],
            backports: true,
        },
        Archive {
            label: "Debian-Security",
            uri: "http://deb.debian.org/debian-security",
            suffixes: &["-security"],
            backports: false,
        },
    ],
};

static UBUNTU: Distribution = Distribution {
    name: "Ubuntu",
    components: "main universe",
    keyring_package: "ubuntu-keyring",
    keyring: "/usr/share/keyrings/ubuntu-archive-keyring.gpg",
    archives: &[Archive {
        label: "Ubuntu",
        uri: "http://archive.ubuntu.com/ubuntu",
        suffixes: &["", "-updates", "-security"],
        backports: true,
    }],
};

impl Suite {
    /// The release of Debian with this codename, such as `bookworm`.
    #[must_use]
    pub fn debian(codename: &str) -> Self {
        Self {
            distribution: &DEBIAN,
            codename: codename.to_string(),
            backports: false,
        }
    }

    /// The same release with its backports, which are preferred: newer packages that are built for it.
    #[must_use]
    pub fn with_backports(self) -> Self {
        Self {
            backports: true,
            ..self
        }
    }

    /// The release that this machine runs, or the one that it derives from.
    ///
    /// # Errors
    /// When `/etc/os-release` names neither Debian nor Ubuntu.
    pub fn host() -> Result<Self> {
        let path = "/etc/os-release";
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
        Ok(Self::from_os_release(&text)
            .ok_or_else(|| anyhow!("{path} names no release of Debian or Ubuntu"))
            .or_mend("Name a release of Debian, such as bookworm.")?)
    }

    fn from_os_release(text: &str) -> Option<Self> {
        let field = |name: &str| {
            let value = text
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
            Some(value.trim_matches('"').to_string())
        };
        let distribution = match field("ID")?.as_str() {
            "debian" => Some((&DEBIAN, field("VERSION_CODENAME")?)),
            "ubuntu" => Some((&UBUNTU, field("VERSION_CODENAME")?)),
            _ => None,
        };
        // Derivatives say what they derive from.
        let (distribution, codename) = distribution
            .or_else(|| Some((&UBUNTU, field("UBUNTU_CODENAME")?)))
            .or_else(|| Some((&DEBIAN, field("DEBIAN_CODENAME")?)))?;
        Some(Self {
            distribution,
            codename,
            backports: false,
        })
    }

    /// The codename, such as `bookworm`.
    #[must_use]
    pub fn codename(&self) -> &str {
        &self.codename
    }

    /// Whether the release's backports are preferred.
    pub(super) const fn prefers_backports(&self) -> bool {
        self.backports
    }

    /// The package that verifies what comes from the archive.
    pub(super) fn keyring(&self) -> Package {
        Package::file(self.distribution.keyring_package, self.distribution.keyring)
    }

    pub(super) fn full_name(&self) -> String {
        format!("{} {self}", self.distribution.name)
    }

    /// The sources of this suite. `targets` are lines of label, tab, address: the archives that the host's apt uses.
    pub(super) fn sources_list(&self, targets: &str) -> String {
        let Distribution {
            components,
            keyring,
            archives,
            ..
        } = self.distribution;
        let mut list = String::new();
        for archive in *archives {
            let mirror = targets.lines().find_map(|line| {
                line.strip_prefix(archive.label)?
                    .strip_prefix('\t')
                    .filter(|uri| uri.contains("://"))
            });
            let uri = mirror.unwrap_or(archive.uri).trim_end_matches('/');
            let backports = self.backports && archive.backports;
            // Sid, where all packages arrive first, has no updates.
            for suffix in archive
                .suffixes
                .iter()
                .filter(|suffix| suffix.is_empty() || self.codename != "sid")
                .chain(backports.then_some(&BACKPORTS))
            {
                let suite = format!("{}{suffix}", self.codename);
                for kind in ["deb", "deb-src"] {
                    list += &format!("{kind} [signed-by={keyring}] {uri} {suite} {components}\n");
                }
            }
        }
        list
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suffix = if self.backports { BACKPORTS } else { "" };
        write!(f, "{}{suffix}", self.codename)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_derivatives_are_told() {
        let suite = |text| Suite::from_os_release(text);
        assert_eq!(
            suite("ID=debian\nVERSION_CODENAME=bookworm\n"),
            Some(Suite::debian("bookworm"))
        );
        let noble = Some(Suite {
            distribution: &UBUNTU,
            codename: "noble".into(),
            backports: false,
        });
        assert_eq!(
            suite("ID=ubuntu\nVERSION_CODENAME=noble\nUBUNTU_CODENAME=noble\n"),
            noble
        );
        assert_eq!(
            suite("ID=linuxmint\nVERSION_CODENAME=wilma\nUBUNTU_CODENAME=\"noble\"\n"),
            noble
        );
        assert_eq!(
            suite("ID=linuxmint\nVERSION_CODENAME=faye\nDEBIAN_CODENAME=bookworm\n"),
            Some(Suite::debian("bookworm"))
        );
        assert_eq!(suite("ID=fedora\nVERSION_CODENAME=\"\"\n"), None);
    }

    #[test]
    fn the_mirrors_of_the_host_are_used() {
        let suite = Suite::debian("trixie");
        let targets = "hashicorp\thttps://example.net/\nDebian-Security\thttp://mirror.example/sec/\n\
                       Debian\thttps://mirror.example/debian/\n";
        let list = suite.sources_list(targets);
        assert!(
            list.contains("] https://mirror.example/debian trixie-updates main\n"),
            "{list}"
        );
        assert!(
            list.contains("deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] "),
            "{list}"
        );
        assert!(
            list.contains("] http://mirror.example/sec trixie-security main\n"),
            "{list}"
        );
        assert!(
            !list.contains("deb.debian.org") && !list.contains("example.net"),
            "{list}"
        );
        assert!(
            suite
                .sources_list("")
                .contains("] http://deb.debian.org/debian trixie main\n")
        );
        let sid = Suite::debian("sid").sources_list("");
        assert!(
            sid.contains(" sid main\n") && !sid.contains("sid-"),
            "{sid}"
        );
    }

    #[test]
    fn backports_come_from_the_main_archive() {
        let suite = Suite::debian("trixie").with_backports();
        let list = suite.sources_list("");
        let backports: Vec<_> = list
            .lines()
            .filter(|line| line.contains("-backports"))
            .collect();
        let source = "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] \
                      http://deb.debian.org/debian trixie-backports main";
        assert_eq!(
            backports,
            [format!("deb {source}"), format!("deb-src {source}")]
        );
        assert!(list.contains(" trixie-security main\n"), "{list}");
        assert_eq!(suite.full_name(), "Debian trixie-backports");
        assert_ne!(suite, Suite::debian("trixie"));
    }
}
