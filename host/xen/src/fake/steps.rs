//! When a server is killed.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// What a server that dies is made to leave in the middle of.
pub(crate) struct Killed;

/// A server never dies of itself.
const NEVER: usize = usize::MAX;

/// Steps until the server dies. A clone counts the same ones.
#[derive(Debug, Clone)]
pub(crate) struct Steps(Arc<AtomicUsize>);

impl Default for Steps {
    fn default() -> Self {
        Self(Arc::new(AtomicUsize::new(NEVER)))
    }
}

impl Steps {
    /// Has the server die after so many steps, or not at all.
    pub(crate) fn kill_after(&self, steps: Option<usize>) {
        self.0.store(steps.unwrap_or(NEVER), Relaxed);
    }

    /// Where the server may die.
    pub(crate) fn step(&self) {
        match self.0.load(Relaxed) {
            NEVER => {}
            0 => {
                self.0.store(NEVER, Relaxed);
                resume_unwind(Box::new(Killed));
            }
            steps => self.0.store(steps - 1, Relaxed),
        }
    }
}
