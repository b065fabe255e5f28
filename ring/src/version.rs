//! Which version of the session ABI each half of a session speaks. What says so stays where it is in all versions: a half
//! of any version finds what one of any other has said.

use core::sync::atomic::Ordering;

use crate::layout::{GUEST_VERSION, HOST_VERSION, MAGIC};
use crate::memory::{Memory, Word};

/// One of a session's two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// The program's.
    Guest,
    /// The worker's.
    Host,
}

impl Half {
    const fn place(self) -> usize {
        match self {
            Self::Guest => GUEST_VERSION,
            Self::Host => HOST_VERSION,
        }
    }

    /// Says that this half speaks `version`: the guest's before its first command, the host's before the guest has the
    /// session.
    pub fn state(self, slice: &impl Memory, version: u32) {
        let value = u64::from(MAGIC) | u64::from(version) << 32;
        if let Some(word) = slice.words().get(self.place() / 8) {
            word.store(value, Ordering::Release);
        }
    }

    /// The version that this half says it speaks; `None` where it says none, as those of before version 5.
    #[must_use]
    pub fn stated(self, slice: &impl Memory) -> Option<u32> {
        let word = slice.words().get(self.place() / 8)?;
        let value = word.load(Ordering::Acquire);
        (value as u32 == MAGIC).then_some((value >> 32) as u32)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;
    use core::sync::atomic::AtomicU64;

    use super::*;

    #[test]
    fn each_half_hears_what_the_other_says_and_nothing_else() {
        let words: Vec<AtomicU64> = (0..1024).map(|_| AtomicU64::new(0)).collect();
        let slice = &words[..];
        assert_eq!(Half::Guest.stated(&slice), None, "nothing was said");
        Half::Guest.state(&slice, 5);
        assert_eq!(Half::Guest.stated(&slice), Some(5));
        assert_eq!(Half::Host.stated(&slice), None);
        Half::Host.state(&slice, u32::MAX);
        assert_eq!(Half::Host.stated(&slice), Some(u32::MAX));
        assert_eq!(Half::Guest.stated(&slice), Some(5));
        // What is no version, and memory that is too small.
        words[0].store(5 << 32, Ordering::Relaxed);
        assert_eq!(Half::Guest.stated(&slice), None);
        assert_eq!(Half::Host.stated(&&words[..8]), None);
    }
}
