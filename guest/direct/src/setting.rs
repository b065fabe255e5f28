//! Settings of the kernel's that this process changes for as long as it runs.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::pages::HUGE;

/// Huge pages of [`HUGE`] bytes (Linux: `Documentation/admin-guide/mm/hugetlbpage.rst`).
const HUGE_PAGES: &str = "/sys/kernel/mm/hugepages/hugepages-2048kB";

/// Whether the kernel moves pages that are locked, to make room for larger ones (`Documentation/admin-guide/sysctl/vm.rst`).
const COMPACT_LOCKED: &str = "/proc/sys/vm/compact_unevictable_allowed";

/// A setting that has another value until this is dropped.
#[derive(Debug)]
pub struct Setting {
    path: PathBuf,
    before: String,
}

impl Setting {
    fn change(path: PathBuf, value: &str) -> io::Result<Self> {
        let before = fs::read_to_string(&path)?;
        fs::write(&path, value)?;
        Ok(Self { path, before })
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        // It could be written to a moment ago.
        let _ = fs::write(&self.path, self.before.trim());
    }
}

/// Has the kernel not move pages that are locked, where it knows that setting.
#[must_use]
pub fn keep_locked_pages() -> Option<Setting> {
    Setting::change(COMPACT_LOCKED.into(), "0").ok()
}

/// Has the kernel set aside huge pages for `bytes`, beside those that are in use. It may find fewer; who asks for memory
/// finds out. `None` where there are enough already, and where the kernel has no such pages.
#[must_use]
pub fn reserve_huge_pages(bytes: usize) -> Option<Setting> {
    reserve_in(Path::new(HUGE_PAGES), bytes.div_ceil(HUGE) as u64)
}

fn reserve_in(folder: &Path, wanted: u64) -> Option<Setting> {
    let read = |name: &str| -> Option<u64> {
        let text = fs::read_to_string(folder.join(name)).ok()?;
        text.trim().parse().ok()
    };
    // What is promised to others is free until they touch it.
    let free = read("free_hugepages")?.saturating_sub(read("resv_hugepages")?);
    let missing = wanted.checked_sub(free).filter(|missing| *missing > 0)?;
    let all = read("nr_hugepages")?.saturating_add(missing);
    Setting::change(folder.join("nr_hugepages"), &all.to_string()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_reserved_and_given_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        assert!(reserve_in(path, 1).is_none(), "no such pages");
        for (name, value) in [("nr", "10\n"), ("free", "4\n"), ("resv", "3\n")] {
            fs::write(path.join(format!("{name}_hugepages")), value).unwrap();
        }
        let all = || fs::read_to_string(path.join("nr_hugepages")).unwrap();
        assert!(reserve_in(path, 1).is_none(), "there is one");
        let reserved = reserve_in(path, 34).unwrap();
        assert_eq!(all(), "43");
        drop(reserved);
        assert_eq!(all(), "10");
    }
}
