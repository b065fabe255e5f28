//! A wake-up that crosses processes: an eventfd.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::event::EventfdFlags;
use rustix::io::Errno;
use vgpu_poll::Poll;
use vgpu_ring::Wake;

/// An eventfd. Clones are the same.
#[derive(Clone, Debug)]
pub struct Event(Arc<OwnedFd>);

impl Event {
    /// A new one.
    ///
    /// # Errors
    /// The system has no descriptors left.
    pub fn new() -> Result<Self, Errno> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        Ok(Self::from(rustix::event::eventfd(0, flags)?))
    }

    /// Sleeps until it is woken, and takes back all wake-ups so far. What interrupts the system's call is one too: who
    /// waits looks again. Gives whether the other end of `peer` is closed, which ends the wait as well.
    pub(crate) fn wait(&self, peer: &OwnedFd) -> bool {
        let ready = Poll::new()
            .readable(false, self)
            .hung_up(true, peer)
            .wait(None);
        self.clear();
        ready.unwrap_or_default().contains(&true)
    }

    /// Takes back all wake-ups so far.
    pub fn clear(&self) {
        let _ = rustix::io::read(&self.0, &mut [0; 8]);
    }
}

impl From<OwnedFd> for Event {
    fn from(descriptor: OwnedFd) -> Self {
        Self(Arc::new(descriptor))
    }
}

impl AsFd for Event {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Wake for Event {
    fn wake(&self) {
        // Where the count is full, it was raised already.
        let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }
}
