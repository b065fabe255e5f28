//! What a process asks of its kernel.

use std::ptr::NonNull;
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

/// A page that fork wipes, and in which something can be named.
#[derive(Debug)]
pub(crate) struct Page<T: 'static>(NonNull<AtomicPtr<T>>);

impl<T> Page<T> {
    pub(crate) fn new() -> Result<Self, CUresult> {
        const SIZE: usize = 4096;
        let failed = |_| CUresult::CUDA_ERROR_OUT_OF_MEMORY;
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the system chooses a free place.
        let page =
            unsafe { mmap_anonymous(std::ptr::null_mut(), SIZE, protection, MapFlags::PRIVATE) };
        let page = NonNull::new(page.map_err(failed)?);
        let page = Self(page.ok_or(CUresult::CUDA_ERROR_OUT_OF_MEMORY)?.cast());
        // SAFETY: the page was mapped just now. Linux has this since 4.14.
        let wiped = unsafe { madvise(page.0.as_ptr().cast(), SIZE, Advice::LinuxWipeOnFork) };
        wiped.map_err(failed)?;
        Ok(page)
    }
}

impl<T: Sync> OfProcess<T> {
    /// Nothing yet.
    pub(crate) const fn new() -> Self {
        Self(AtomicPtr::new(std::ptr::null_mut()))
    }

    /// Gives it to this process for good.
    pub(crate) fn set(&self, Page(name): Page<T>, value: T) {
        let value = std::ptr::from_ref(Box::leak(Box::new(value)));
        // SAFETY: the page is aligned, zeroed, and never unmapped; zeros are a null pointer.
        unsafe { name.as_ref() }.store(value.cast_mut(), Ordering::Relaxed);
        self.0.store(name.as_ptr(), Ordering::Release);
    }

    /// What this process was given; nothing in its child.
    #[inline]
    pub(crate) fn get(&self) -> Option<&'static T> {
        let name = self.0.load(Ordering::Acquire);
        // SAFETY: null, or a page that `set` was given; in a child of fork, wiped.
        let value = unsafe { name.as_ref() }?.load(Ordering::Relaxed);
        // SAFETY: null, or what `set` leaked, and published with the page.
        unsafe { value.as_ref() }
    }
}
