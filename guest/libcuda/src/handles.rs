//! Values by the handles that this process mints for them.

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

use vgpu_cuda_wire::CUresult;

use crate::Done;
use crate::lock::lock;

/// A kind of handles: never 0, never used again.
#[derive(Debug)]
pub(crate) struct Table<T> {
    last: AtomicUsize,
    live: Mutex<BTreeMap<usize, T>>,
    /// How often a value was changed or taken off.
    changes: AtomicU64,
}

/// What a thread had last of a table, which it has again without a lock.
#[derive(Debug)]
pub(crate) struct Recent<T> {
    handle: usize,
    /// The table's changes before it was had.
    changes: u64,
    value: Option<T>,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Recent<T> {
    /// Nothing yet.
    pub(crate) const fn new() -> Self {
        Self {
            handle: 0,
            changes: 0,
            value: None,
        }
    }
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            last: AtomicUsize::new(0),
            live: Mutex::default(),
            changes: AtomicU64::new(0),
        }
    }
}

impl<T: Clone> Table<T> {
    /// The first handle: above what the driver API gives meanings of its own.
    const FIRST: usize = 0x100;

    /// A handle for nothing yet.
    pub(crate) fn mint(&self) -> *mut c_void {
        ptr::without_provenance_mut(Self::FIRST + self.last.fetch_add(1, Ordering::Relaxed))
    }

    /// Adds a value, if there are not `most` already, and has the worker told of its
    /// number; where that fails, it is not there.
    pub(crate) fn create(
        &self,
        value: T,
        most: usize,
        tell: impl FnOnce(u64) -> Done,
    ) -> Result<*mut c_void, CUresult> {
        let handle = self.mint();
        let mut live = lock(&self.live);
        if live.len() >= most {
            return Err(CUresult::CUDA_ERROR_OUT_OF_MEMORY);
        }
        live.insert(handle.addr(), value);
        drop(live);
        if let Err(error) = tell(handle.addr() as u64) {
            self.change().remove(&handle.addr());
            return Err(error);
        }
        Ok(handle)
    }

    pub(crate) fn put(&self, handle: *mut c_void, value: T) {
        lock(&self.live).insert(handle.addr(), value);
    }

    pub(crate) fn add(&self, value: T) -> *mut c_void {
        let handle = self.mint();
        self.put(handle, value);
        handle
    }

    #[inline]
    pub(crate) fn get(&self, handle: *mut c_void) -> Result<T, CUresult> {
        let value = lock(&self.live).get(&handle.addr()).cloned();
        value.ok_or(CUresult::CUDA_ERROR_INVALID_HANDLE)
    }

    /// The same, for what a thread asks for again and again.
    #[inline]
    pub(crate) fn get_recent<'a>(
        &self,
        recent: &'a mut Recent<T>,
        handle: *mut c_void,
    ) -> Result<&'a T, CUresult> {
        let changes = self.changes.load(Ordering::Acquire);
        if recent.handle != handle.addr() || recent.changes != changes {
            recent.value = None;
        }
        if recent.value.is_none() {
            let value = Some(self.get(handle)?);
            let handle = handle.addr();
            *recent = Recent {
                handle,
                changes,
                value,
            };
        }
        let value = recent.value.as_ref();
        value.ok_or(CUresult::CUDA_ERROR_INVALID_HANDLE)
    }

    /// What is behind the lock, for a change. Who does not see the count of changes
    /// grow had the value before.
    fn change(&self) -> MutexGuard<'_, BTreeMap<usize, T>> {
        let live = lock(&self.live);
        self.changes.fetch_add(1, Ordering::Release);
        live
    }

    /// The number by which messages name what has this handle.
    #[inline]
    pub(crate) fn number(&self, handle: *mut c_void) -> Result<u64, CUresult> {
        match lock(&self.live).contains_key(&handle.addr()) {
            true => Ok(handle.addr() as u64),
            false => Err(CUresult::CUDA_ERROR_INVALID_HANDLE),
        }
    }

    /// Changes a value.
    pub(crate) fn update<R>(
        &self,
        handle: *mut c_void,
        change: impl FnOnce(&mut T) -> R,
    ) -> Result<R, CUresult> {
        let mut live = self.change();
        let value = live.get_mut(&handle.addr());
        value.map(change).ok_or(CUresult::CUDA_ERROR_INVALID_HANDLE)
    }

    pub(crate) fn remove(&self, handle: *mut c_void) -> Result<T, CUresult> {
        let value = self.change().remove(&handle.addr());
        value.ok_or(CUresult::CUDA_ERROR_INVALID_HANDLE)
    }

    /// Takes off what is of a kind; gives the handles with their values.
    pub(crate) fn drain(&self, of: impl Fn(&T) -> bool) -> Vec<(*mut c_void, T)> {
        let mut live = self.change();
        let (taken, left) = std::mem::take(&mut *live)
            .into_iter()
            .partition(|(_, value)| of(value));
        *live = left;
        let taken: BTreeMap<_, _> = taken;
        taken
            .into_iter()
            .map(|(handle, value)| (ptr::without_provenance_mut(handle), value))
            .collect()
    }
}
