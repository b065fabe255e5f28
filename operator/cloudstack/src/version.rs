//! Which CloudStack can do it.

use std::fmt;
use std::str::FromStr;

use vgpu_terminal::Failure;

use crate::hypervisor::Hypervisor;

/// A release of CloudStack: 4.20.1 and 4.20.1.0 are the same one here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version([u16; 3]);

impl FromStr for Version {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = [0; 4];
        // A build from before or after a release, such as 4.22.0.0-SNAPSHOT, is
        // taken for it.
        let text = match text.split_once('-') {
            Some((_, "")) => return Err("expected a word after the '-', as in 4.22.0.0-SNAPSHOT"),
            Some((numbers, _)) => numbers,
            None => text,
        };
        let given: Vec<&str> = text.split('.').collect();
        if !(2..=4).contains(&given.len()) {
            return Err("expected two to four numbers, such as 4.20.1");
        }
        for (part, text) in parts.iter_mut().zip(&given) {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            *part = match text.parse() {
                Ok(number) if digits => number,
                _ => return Err("expected numbers and dots, such as 4.20.1"),
            };
        }
        let [major, minor, patch, _security] = parts;
        Ok(Self([major, minor, patch]))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.0;
        write!(f, "{major}.{minor}.{patch}")
    }
}

/// The first CloudStack that can do it, and what is wrong with earlier ones.
///
/// xenserver: apache/cloudstack pull request 9248. kvm: pull request 3510
/// brought the setting.
const FIRST: [(Hypervisor, Version, &str); 2] = [
    (
        Hypervisor::Xenserver,
        Version([4, 19, 1]),
        "puts extra configuration of 'platform' into other_config, which starts no device",
    ),
    (
        Hypervisor::Kvm,
        Version([4, 14, 0]),
        "has no setting allow.additional.vm.configuration.list.kvm",
    ),
];

/// XCP-ng 8.3 as a host: apache/cloudstack pull request 10684.
pub(crate) const XCP_NG_8_3: Version = Version([4, 20, 1]);

/// Refuses a CloudStack that cannot do it.
///
/// # Errors
///
/// It is too old.
pub(crate) fn check(hypervisor: Hypervisor, version: Version) -> Result<(), Failure> {
    let late = FIRST
        .iter()
        .find(|(of, first, _)| *of == hypervisor && version < *first);
    match late {
        Some((_, first, flaw)) => Err(Failure::new(
            format!("CloudStack {version} {flaw}"),
            format!("upgrade CloudStack to {first} or later"),
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        text.parse().unwrap()
    }

    #[test]
    fn releases_are_compared_by_their_numbers() {
        assert_eq!(version("4.20.1.0"), version("4.20.1"));
        assert_eq!(version("4.22"), version("4.22.0.1"));
        assert_eq!(version("4.22.0.0-SNAPSHOT"), version("4.22"));
        assert_eq!(version("4.20.1.0-shapeblue-1"), version("4.20.1"));
        assert!(version("4.9.3") < version("4.19.1"));
        assert!(version("4.19.0.2") < version("4.19.1"));
        for wrong in [
            "",
            "4",
            "4.",
            "4.20.x",
            "4.20-",
            "-SNAPSHOT",
            "4-SNAPSHOT",
            "v4.20",
            "4.20.1.0.0",
            "4.+20",
            "4.99999",
        ] {
            assert!(wrong.parse::<Version>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_too_old_is_told_so() {
        let old = check(Hypervisor::Xenserver, version("4.19.0.2")).unwrap_err();
        assert!(
            old.cause
                .contains("4.19.0 puts extra configuration of 'platform' into other_config")
        );
        assert!(old.mend.contains("4.19.1"));
        check(Hypervisor::Xenserver, version("4.19.1")).unwrap();
        check(Hypervisor::Kvm, version("4.14")).unwrap();
        assert!(check(Hypervisor::Kvm, version("4.13.1")).is_err());
    }
}
