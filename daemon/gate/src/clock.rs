//! The clock that a daemon and its workers share.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds of the system's clock that does not go back.
#[must_use]
pub fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or_default()
}
