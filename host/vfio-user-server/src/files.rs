//! The file descriptors that came with a message.

use std::os::fd::OwnedFd;

use crate::limits::MAX_FILES;

/// At most [`MAX_FILES`] descriptors, without an allocation, and those that are
/// too many. They are closed when they are dropped.
#[derive(Debug, Default)]
pub(crate) struct Files {
    /// The first ones are there, the others are not.
    files: [Option<OwnedFd>; MAX_FILES],
    /// Those beyond, which are of no use but have to be closed.
    more: Vec<OwnedFd>,
    overflowed: bool,
}

impl Files {
    /// Takes one more, also where it is one too many.
    pub(crate) fn push(&mut self, file: OwnedFd) {
        match self.files.iter_mut().find(|place| place.is_none()) {
            Some(place) => *place = Some(file),
            None => {
                self.more.push(file);
                self.overflowed = true;
            }
        }
    }

    /// Some were lost: more than a message may carry, or than this process
    /// may have open.
    pub(crate) fn mark_overflowed(&mut self) {
        self.overflowed = true;
    }

    pub(crate) fn overflowed(&self) -> bool {
        self.overflowed
    }

    pub(crate) fn len(&self) -> usize {
        self.iter().count()
    }

    /// Those that are there, with those that are too many.
    pub(crate) fn count(&self) -> usize {
        self.len().saturating_add(self.more.len())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// Those that are there, in the order in which they came.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &OwnedFd> {
        self.files.iter().flatten()
    }

    /// Gives them away, in the order in which they came.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = OwnedFd> {
        self.files.iter_mut().filter_map(Option::take)
    }

    /// Gives one away, the first that there is.
    pub(crate) fn take(&mut self) -> Option<OwnedFd> {
        let first = self.drain().next();
        first.or_else(|| self.more.pop())
    }
}
