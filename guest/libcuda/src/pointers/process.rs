//! What a process asks of its kernel.

use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous};
use vgpu_cuda_wire::CUresult;

/// Addresses that nothing of this process will have: device pointers then equal
/// no host pointer. Gives where they begin.
pub(crate) fn reserve(size: usize) -> Result<u64, CUresult> {
    let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
    // SAFETY: the system chooses a free place.
    let place = unsafe { mmap_anonymous(std::ptr::null_mut(), size, ProtFlags::empty(), flags) };
    let place = place.map_err(|_| CUresult::CUDA_ERROR_OUT_OF_MEMORY)?;
    Ok(place.expose_provenance() as u64)
}

/// A mark that a child of this process does not have: its page is wiped by fork.
#[derive(Debug)]
pub(crate) struct ForkMark(AtomicPtr<AtomicU32>);

impl ForkMark {
    /// Not set yet.
    pub(crate) const fn new() -> Self {
        Self(AtomicPtr::new(std::ptr::null_mut()))
    }

    /// Sets it in this process.
    pub(crate) fn set(&self) -> Result<(), CUresult> {
        let failed = |_| CUresult::CUDA_ERROR_OUT_OF_MEMORY;
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the system chooses a free place.
        let page =
            unsafe { mmap_anonymous(std::ptr::null_mut(), 4096, protection, MapFlags::PRIVATE) };
        let page = page.map_err(failed)?;
        // SAFETY: the page was mapped just now. Linux has this since 4.14.
        unsafe { madvise(page, 4096, Advice::LinuxWipeOnFork) }.map_err(failed)?;
        let mark: *mut AtomicU32 = page.cast();
        // SAFETY: the page is aligned, zeroed, and never unmapped.
        unsafe { &*mark }.store(1, Ordering::Relaxed);
        self.0.store(mark, Ordering::Release);
        Ok(())
    }

    /// Whether this process set it.
    #[inline]
    pub(crate) fn is_set(&self) -> bool {
        let mark = self.0.load(Ordering::Acquire);
        // SAFETY: null, or a page as `set` made it; in a child of fork, wiped.
        unsafe { mark.as_ref() }.is_some_and(|mark| mark.load(Ordering::Relaxed) == 1)
    }
}
