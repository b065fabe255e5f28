//! Where in a guest's memory a device is, and what is written down while that changes.

use std::ops::Range;

/// A change of what Xen sends to a device: `old` is being replaced by `new`,
/// or, without `old`, has been.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Mapping {
    pub(crate) old: Option<Range<u64>>,
    pub(crate) new: Option<Range<u64>>,
}

/// A note of what is mapped, for whoever takes over in the middle of a change.
pub(crate) trait Journal: Send + std::fmt::Debug {
    /// `old` is being replaced by `new`.
    fn note(&mut self, mapping: &Mapping);
}
