//! Values by the handles that this process mints for them.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};

use vgpu_cuda_wire::CUresult;

use crate::Done;
use crate::lock::lock;

/// The next handle, of whatever kind: one of one kind is none of another. The first is above what the driver API gives
/// meanings of its own.
static NEXT: AtomicUsize = AtomicUsize::new(0x100);

/// A handle for nothing yet.
pub(crate) fn mint() -> *mut c_void {
    ptr::without_provenance_mut(NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A kind of handles: never 0, never used again.
#[derive(Debug)]
pub(crate) struct Table<T> {
    live: Mutex<BTreeMap<usize, T>>,
    /// How often a value was changed or taken off.
    changes: AtomicU64,
}

/// A handle that a thread has found in a table: it is there until the table
/// changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    handle: usize,
    /// The table's changes before it was looked for.
    changes: u64,
}

impl Found {
    /// No handle yet.
    pub(crate) const NONE: Self = Self {
        handle: 0,
        changes: u64::MAX,
    };
}

/// What a thread had last of a table, which it has again without a lock.
pub(crate) struct Recent<T> {
    found: Cell<Found>,
    value: Cell<Option<T>>,
}

impl<T> Recent<T> {
    /// Nothing yet.
    pub(crate) const fn new() -> Self {
        Self {
            found: Cell::new(Found::NONE),
            value: Cell::new(None),
        }
    }

    /// The value, if it is what would be found now. It is to be
    /// [kept](Self::keep) for the next time.
    #[inline]
    pub(crate) fn take(&self, now: Found) -> Option<T> {
        let value = self.value.take();
        value.filter(|_| self.found.get() == now)
    }

    /// Keeps what was found.
    #[inline]
    pub(crate) fn keep(&self, found: Found, value: T) {
        self.found.set(found);
        self.value.set(Some(value));
    }
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            live: Mutex::default(),
            changes: AtomicU64::new(0),
        }
    }
}

impl<T: Clone> Table<T> {
    /// Adds a value, if there are not `most` already, and has the worker told of its
    /// number; where that fails, it is not there.
    pub(crate) fn create(
        &self,
        value: T,
        most: usize,
        tell: impl FnOnce(u64) -> Done,
    ) -> Result<*mut c_void, CUresult> {
        let handle = mint();
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
        let handle = mint();
        self.put(handle, value);
        handle
    }

    pub(crate) fn get(&self, handle: *mut c_void) -> Result<T, CUresult> {
        let value = lock(&self.live).get(&handle.addr()).cloned();
        value.ok_or(CUresult::CUDA_ERROR_INVALID_HANDLE)
    }

    /// A handle as it would be found now.
    #[inline]
    pub(crate) fn now(&self, handle: *mut c_void) -> Found {
        Found {
            handle: handle.addr(),
            changes: self.changes.load(Ordering::Acquire),
        }
    }

    /// Checks a handle that a thread uses again and again.
    #[inline]
    pub(crate) fn check_recent(&self, recent: &Cell<Found>, handle: *mut c_void) -> Done {
        let now = self.now(handle);
        if recent.get() != now {
            self.number(handle)?;
            recent.set(now);
        }
        Ok(())
    }

    /// What is behind the lock, for a change. Who does not see the count of changes
    /// grow had the value before.
    fn change(&self) -> MutexGuard<'_, BTreeMap<usize, T>> {
        let live = lock(&self.live);
        self.changes.fetch_add(1, Ordering::Release);
        live
    }

    /// The number by which messages name what has this handle.
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
