//! Contexts, streams and events, as far as they live in this process. There is
//! one device; its primary context and those that programs make share it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::c_void;
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use vgpu_cuda_wire::{CUcontext, CUresult};

use crate::session::lock;

/// A kind of handles that this process mints: never 0, never used again.
#[derive(Debug, Default)]
pub(crate) struct Handles {
    last: AtomicUsize,
    live: Mutex<BTreeSet<usize>>,
}

impl Handles {
    /// The first handle: above what the driver API gives meanings of its own.
    const FIRST: usize = 0x100;

    pub(crate) fn mint(&self) -> *mut c_void {
        let handle = Self::FIRST + self.last.fetch_add(1, Ordering::Relaxed);
        lock(&self.live).insert(handle);
        ptr::without_provenance_mut(handle)
    }

    pub(crate) fn check(&self, handle: *mut c_void) -> Result<u64, CUresult> {
        match lock(&self.live).contains(&handle.addr()) {
            true => Ok(handle.addr() as u64),
            false => Err(CUresult::CUDA_ERROR_INVALID_HANDLE),
        }
    }

    pub(crate) fn remove(&self, handle: *mut c_void) -> Result<u64, CUresult> {
        match lock(&self.live).remove(&handle.addr()) {
            true => Ok(handle.addr() as u64),
            false => Err(CUresult::CUDA_ERROR_INVALID_HANDLE),
        }
    }
}

/// The primary context.
#[derive(Debug, Default)]
pub(crate) struct Primary {
    handle: usize,
    retained: usize,
    pub(crate) flags: u32,
}

/// All contexts, streams and events.
#[derive(Debug, Default)]
pub(crate) struct Contexts {
    handles: Handles,
    flags: Mutex<BTreeMap<usize, u32>>,
    primary: Mutex<Primary>,
    pub(crate) streams: Handles,
    pub(crate) events: Handles,
}

thread_local! {
    /// The thread's contexts; the last one is current.
    static STACK: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// The thread's current context, or null.
pub(crate) fn current() -> CUcontext {
    let current = STACK.with_borrow(|stack| stack.last().copied());
    ptr::without_provenance_mut(current.unwrap_or_default())
}

/// Makes a context the thread's current one, on top of the others.
pub(crate) fn push(context: CUcontext) {
    STACK.with_borrow_mut(|stack| stack.push(context.addr()));
}

/// Takes the current context off.
pub(crate) fn pop() -> Result<CUcontext, CUresult> {
    let popped = STACK.with_borrow_mut(Vec::pop);
    let popped = popped.ok_or(CUresult::CUDA_ERROR_INVALID_CONTEXT)?;
    Ok(ptr::without_provenance_mut(popped))
}

impl Contexts {
    pub(crate) fn create(&self, flags: u32) -> CUcontext {
        let context = self.handles.mint();
        lock(&self.flags).insert(context.addr(), flags);
        context
    }

    pub(crate) fn destroy(&self, context: CUcontext) -> Result<(), CUresult> {
        let invalid = |_| CUresult::CUDA_ERROR_INVALID_CONTEXT;
        if lock(&self.primary).handle == context.addr() {
            return Err(CUresult::CUDA_ERROR_INVALID_CONTEXT);
        }
        self.handles.remove(context).map_err(invalid)?;
        lock(&self.flags).remove(&context.addr());
        if current() == context {
            pop()?;
        }
        Ok(())
    }

    pub(crate) fn check(&self, context: CUcontext) -> Result<(), CUresult> {
        let known = self.handles.check(context);
        known
            .map(|_| ())
            .map_err(|_| CUresult::CUDA_ERROR_INVALID_CONTEXT)
    }

    /// Checks that the thread has a current context.
    pub(crate) fn check_current(&self) -> Result<(), CUresult> {
        self.check(current())
    }

    pub(crate) fn flags(&self, context: CUcontext) -> u32 {
        lock(&self.flags)
            .get(&context.addr())
            .copied()
            .unwrap_or_default()
    }

    /// The primary context; one use more.
    pub(crate) fn retain(&self) -> CUcontext {
        let mut primary = lock(&self.primary);
        if primary.handle == 0 {
            primary.handle = self.create(primary.flags).addr();
        }
        primary.retained += 1;
        ptr::without_provenance_mut(primary.handle)
    }

    /// One use of the primary context less. It stays, and what is in it: a
    /// program that retains it again finds a context of the same handle.
    pub(crate) fn release(&self) -> Result<(), CUresult> {
        let mut primary = lock(&self.primary);
        let left = primary.retained.checked_sub(1);
        primary.retained = left.ok_or(CUresult::CUDA_ERROR_INVALID_CONTEXT)?;
        Ok(())
    }

    /// The primary context's flags, and whether it is in use.
    pub(crate) fn primary(&self) -> (u32, bool) {
        let primary = lock(&self.primary);
        (primary.flags, primary.retained > 0)
    }

    pub(crate) fn set_primary_flags(&self, flags: u32) {
        lock(&self.primary).flags = flags;
    }

    /// Makes a context the thread's current one, in place of the last; null
    /// takes the last off.
    pub(crate) fn set_current(&self, context: CUcontext) -> Result<(), CUresult> {
        if !context.is_null() {
            self.check(context)?;
        }
        let _ = pop();
        if !context.is_null() {
            push(context);
        }
        Ok(())
    }
}
