//! Calls that are timed together.

use std::time::Instant;

/// Calls of a batch: the records of two fit the ring.
pub(crate) const BATCH: u64 = 1000;
/// Calls before a batch, so that the worker looks.
pub(crate) const WARM: u64 = 50;

/// Nanoseconds of each of a batch. Another comes before it: what was done meanwhile has left little of a call in what an
/// emulator remembers, or a cache.
pub(crate) fn batch(mut call: impl FnMut()) -> f64 {
    (0..BATCH).for_each(|_| call());
    let start = Instant::now();
    for _ in 0..BATCH {
        call();
    }
    start.elapsed().as_nanos() as f64 / BATCH as f64
}
