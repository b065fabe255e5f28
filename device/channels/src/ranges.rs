//! Addresses that are in use.

use std::collections::BTreeMap;

/// Ranges of addresses, none over another: the last address of each by its first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    /// Adds a range, not empty; tells whether it is over none that is there.
    #[must_use]
    pub(crate) fn insert(&mut self, first: u64, last: u64) -> bool {
        if self.overlap(first, last) {
            return false;
        }
        self.0.insert(first, last);
        true
    }

    /// Whether a range is over one that is there.
    pub(crate) fn overlap(&self, first: u64, last: u64) -> bool {
        let before = self.0.range(..=last).next_back();
        before.is_some_and(|(_, &end)| end >= first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_touch_do_not_overlap() {
        let mut ranges = Ranges::default();
        assert!(ranges.insert(10, 19));
        for (first, last, free) in [
            (0, 9, true),
            (20, 29, true),
            (0, 10, false),
            (19, 30, false),
            (12, 13, false),
            (0, 100, false),
        ] {
            assert_eq!(ranges.clone().insert(first, last), free, "{first} {last}");
        }
    }
}
