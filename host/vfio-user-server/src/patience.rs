//! How long a client is waited for.

use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// A time in which something has to be done, all pauses of the client together.
#[derive(Debug)]
pub(crate) struct Patience {
    since: Instant,
    pub(crate) limit: Duration,
}

impl Patience {
    /// From now on.
    pub(crate) fn new(limit: Duration) -> Self {
        Self {
            since: Instant::now(),
            limit,
        }
    }

    /// Waits for one of `events`, or for the client to leave.
    ///
    /// # Errors
    ///
    /// `ETIMEDOUT` once the time is over.
    pub(crate) fn wait(&self, stream: &UnixStream, events: PollFlags) -> Result<(), Errno> {
        loop {
            let left = self.limit.saturating_sub(self.since.elapsed());
            let left = Timespec::try_from(left).map_err(|_| Errno::INVAL)?;
            match poll(&mut [PollFd::new(stream, events)], Some(&left)) {
                Ok(0) => return Err(Errno::TIMEDOUT),
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
}
