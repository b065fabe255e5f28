//! What each thread of the host does of a grid.

use std::sync::PoisonError;
use std::sync::atomic::Ordering::Relaxed;

use crate::block::Runner;
use crate::fault::{Cause, Fault};
use crate::grid::{Grid, PRINTED_MAX};

impl Grid {
    /// Executes blocks until none is left, or one has failed.
    pub(crate) fn work(&self, runner: &mut Runner) {
        let [x, y, z] = self.blocks.map(u64::from);
        let count = x * y * z;
        let mut found = [None; 64];
        while !self.failed.load(Relaxed) {
            let index = self.next.fetch_add(self.at_once, Relaxed);
            if index >= count {
                break;
            }
            let blocks = index..count.min(index + self.at_once);
            if let Err(fault) = runner.blocks(self, &blocks, &mut found) {
                self.failed.store(true, Relaxed);
                let mut result = self.result.lock().unwrap_or_else(PoisonError::into_inner);
                let earlier = result.1.as_ref().is_some_and(|(before, _)| *before < index);
                if !earlier {
                    result.1 = Some((index, fault));
                }
            }
            if self.stop.load(Relaxed) && blocks.end < count {
                self.stopped(index);
            }
        }
        if !runner.printed.is_empty() {
            let mut printed = self.printed.lock().unwrap_or_else(PoisonError::into_inner);
            printed.append(&mut runner.printed);
            printed.truncate(PRINTED_MAX);
        }
        let done = std::mem::take(&mut runner.statistics);
        let mut result = self.result.lock().unwrap_or_else(PoisonError::into_inner);
        result.0.blocks += done.blocks;
        result.0.instructions += done.instructions;
        result.0.lane_instructions += done.lane_instructions;
    }

    fn stopped(&self, index: u64) {
        self.failed.store(true, Relaxed);
        let mut result = self.result.lock().unwrap_or_else(PoisonError::into_inner);
        let fault = Fault {
            cause: Cause::Stopped(0),
            kernel: self.kernel().name.clone(),
            block: [0; 3],
            thread: [0; 3],
            line: 0,
        };
        result.1.get_or_insert((index, fault));
    }
}
