//! Memory of this process alone that stays where it is: for who tells another machine's end by address where it lies.

use std::ptr::{NonNull, null_mut};
use std::sync::Arc;

use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, ProtFlags};

use super::{Error, Mapping, Window};

/// The multiple that a length has to be of.
const fn grain(huge: bool) -> usize {
    match huge {
        true => 2 << 20,
        false => 4096,
    }
}

impl Window {
    /// Maps `len` bytes of zeroed memory that is in no file: pages of 2 MiB that the system has set aside, or usual ones,
    /// which are locked: neither is ever swapped out. Children of this process do not have it.
    ///
    /// # Errors
    /// `len` is 0, or no multiple of a page; the system has not as many pages, or none that this process may lock.
    pub fn anonymous(len: usize, huge: bool) -> Result<Self, Error> {
        if len == 0 || !len.is_multiple_of(grain(huge)) {
            return Err(Errno::INVAL.into());
        }
        let kind = match huge {
            true => MapFlags::HUGETLB | MapFlags::HUGE_2MB,
            false => MapFlags::empty(),
        };
        let access = ProtFlags::READ | ProtFlags::WRITE;
        let flags = MapFlags::PRIVATE | MapFlags::POPULATE | kind;
        // SAFETY: the system chooses a free place.
        #[allow(unsafe_code)]
        let base = unsafe { rustix::mm::mmap_anonymous(null_mut(), len, access, flags) }?;
        // From here on, who returns unmaps it.
        let mapping = Mapping {
            base: NonNull::new(base.cast()).ok_or(Errno::NOMEM)?,
            words: len / 8,
        };
        // A child would make the kernel copy pages, and leave this process the copy.
        // SAFETY: the range was mapped just now, and nothing else is in it.
        #[allow(unsafe_code)]
        unsafe { rustix::mm::madvise(base, len, Advice::LinuxDontFork) }?;
        if !huge {
            // The kernel would make larger pages of them, elsewhere. Some kernels have none, and say so.
            // SAFETY: as above.
            #[allow(unsafe_code)]
            let _ = unsafe { rustix::mm::madvise(base, len, Advice::LinuxNoHugepage) };
            // SAFETY: as above; to lock memory changes nothing of what is in it.
            #[allow(unsafe_code)]
            unsafe { rustix::mm::mlock(base, len) }?;
        }
        Ok(Self {
            mapping: Arc::new(mapping),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::atomic::Ordering;

    use vgpu_ring::Memory;

    use super::*;

    /// What the system says of the mapping that begins at an address.
    fn said(window: &Window) -> String {
        let first = window.words().as_ptr().addr();
        let maps = fs::read_to_string("/proc/self/smaps").unwrap();
        let begin = maps.find(&format!("{first:x}-")).unwrap();
        let end = maps[begin..].find("VmFlags").unwrap();
        maps[begin..]
            .lines()
            .take_while(|it| !it.is_empty())
            .take(maps[begin..begin + end].lines().count() + 1)
            .collect()
    }

    #[test]
    fn it_is_zeroed_locked_and_not_inherited() {
        let window = Window::anonymous(3 * 4096, false).unwrap();
        assert_eq!(window.size(), 3 * 4096);
        assert!(
            window
                .words()
                .iter()
                .all(|word| word.load(Ordering::Relaxed) == 0)
        );
        window.words()[1535].store(7, Ordering::Relaxed);
        let said = said(&window);
        let flags: Vec<_> = said[said.find("VmFlags:").unwrap()..]
            .split_whitespace()
            .collect();
        for flag in ["lo", "dc"] {
            assert!(flags.contains(&flag), "{flag}: {said}");
        }
    }

    #[test]
    fn what_is_no_whole_page_is_refused() {
        for (len, huge) in [(0, false), (100, false), (0, true), (4096, true)] {
            let mapped = Window::anonymous(len, huge);
            assert!(
                matches!(mapped, Err(Error::System(Errno::INVAL))),
                "{len} {huge}"
            );
        }
    }
}
