//! What a process asks of its kernel.

use std::sync::atomic::{AtomicPtr, Ordering};

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

/// Something that a child of this process does not have: it is named in a page that fork wipes.
#[derive(Debug)]
pub(crate) struct OfProcess<T: 'static>(AtomicPtr<AtomicPtr<T>>);

impl<T: Sync> OfProcess<T> {
    /// Nothing yet.
    pub(crate) const fn new() -> Self {
        Self(AtomicPtr::new(std::ptr::null_mut()))
    }

    /// Gives it to this process.
    pub(crate) fn set(&self, value: &'static T) -> Result<(), CUresult> {
        let failed = |_| CUresult::CUDA_ERROR_OUT_OF_MEMORY;
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the system chooses a free place.
        let page =
            unsafe { mmap_anonymous(std::ptr::null_mut(), 4096, protection, MapFlags::PRIVATE) };
        let page = page.map_err(failed)?;
        // SAFETY: the page was mapped just now. Linux has this since 4.14.
        unsafe { madvise(page, 4096, Advice::LinuxWipeOnFork) }.map_err(failed)?;
        let name: *mut AtomicPtr<T> = page.cast();
        // SAFETY: the page is aligned, zeroed, and never unmapped; zeros are a null pointer.
        unsafe { &*name }.store(std::ptr::from_ref(value).cast_mut(), Ordering::Relaxed);
        self.0.store(name, Ordering::Release);
        Ok(())
    }

    /// What this process was given; nothing in its child.
    #[inline]
    pub(crate) fn get(&self) -> Option<&'static T> {
        let name = self.0.load(Ordering::Acquire);
        // SAFETY: null, or a page as `set` made it; in a child of fork, wiped.
        let value = unsafe { name.as_ref() }?.load(Ordering::Relaxed);
        // SAFETY: null, or the reference that `set` was given; `set` publishes what is behind it.
        unsafe { value.as_ref() }
    }
}
