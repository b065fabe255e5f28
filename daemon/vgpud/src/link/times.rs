//! How long a worker may take.

use std::time::Duration;

/// To map, to unmap, or to say what a new daemon has to know.
pub(super) const ANSWERS: Duration = Duration::from_secs(1);
/// To be gone, once it was killed.
pub(super) const ENDS: Duration = Duration::from_secs(1);
