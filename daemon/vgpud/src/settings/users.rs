//! The users that machines' workers may be.

use std::ops::Range;
use std::path::PathBuf;

/// Where files of users are, unless the operator says otherwise.
const FOLDER: &str = "/run/vgpu/users";
/// Users of machines unless the operator says otherwise: above those of Xen's emulators (docs/security.md).
const USUAL: Range<u32> = 2_013_331_456..2_013_335_552;
/// Those of Xen's emulators.
const EMULATORS: Range<u32> = 2_013_265_920..2_013_298_672;
/// Below it are the system's users, and those that people get.
const LEAST: u32 = 65_536;
/// Users at most.
const MOST: u32 = 65_536;
/// Users that are machines' alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UserRange {
    pub(crate) users: Range<u32>,
    /// Where is noted whose they are.
    pub(crate) folder: PathBuf,
}

impl UserRange {
    /// From a first one on; `None` for the usual folder.
    ///
    /// # Errors
    /// They would be others', in one line.
    pub(crate) fn new(first: u32, count: u32, folder: Option<PathBuf>) -> Result<Self, String> {
        let end = first.checked_add(count).filter(|&end| end < u32::MAX);
        let users = match end {
            Some(end) if first >= LEAST && (1..=MOST).contains(&count) => first..end,
            _ => {
                return Err(format!(
                    "users are from {LEAST} on, and 1 to {MOST} of them"
                ));
            }
        };
        if overlap(&users, &EMULATORS) {
            return Err("these users are those of Xen's emulators".to_owned());
        }
        Ok(Self {
            users,
            folder: folder.unwrap_or_else(|| FOLDER.into()),
        })
    }

    pub(crate) fn usual() -> Self {
        Self {
            users: USUAL,
            folder: FOLDER.into(),
        }
    }
}

/// Whether both have a user.
pub(crate) const fn overlap(one: &Range<u32>, other: &Range<u32>) -> bool {
    one.start < other.end && other.start < one.end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_nobody_elses() {
        assert!(UserRange::new(LEAST, 1, None).is_ok());
        assert!(UserRange::new(USUAL.start, USUAL.len() as u32, None).is_ok());
        for (first, count) in [
            (0, 5),
            (LEAST - 1, 5),
            (LEAST, 0),
            (LEAST, MOST + 1),
            (u32::MAX - 5, 5),
            (u32::MAX - 4, 5),
            (EMULATORS.start, 1),
            (EMULATORS.end - 1, 1),
            (EMULATORS.start - 1, 2),
        ] {
            assert!(
                UserRange::new(first, count, None).is_err(),
                "{first} {count}"
            );
        }
    }
}
