//! Locks that a panic of another thread does not break.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks; what is inside is whole after every statement.
#[inline(always)]
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
