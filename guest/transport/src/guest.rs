//! A session's guest as its worker has it, whatever lies between them.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use vgpu_ring::{Memory, Park, Wake};
use vgpu_window::Window;

use crate::error::Lost;
use crate::event::Event;

/// The memory that a worker shares with its guest, what the guest wakes it by, and what it wakes the guest by.
#[derive(Debug)]
pub struct Guest {
    peer: Arc<OwnedFd>,
    slice: Window,
    doorbell: Event,
    interrupt: Interrupt,
}

impl Guest {
    /// The guest behind a socket: it is gone when the other end is closed.
    #[must_use]
    pub fn new(
        peer: impl Into<Arc<OwnedFd>>,
        slice: Window,
        doorbell: Event,
        interrupt: Interrupt,
    ) -> Self {
        Self {
            peer: peer.into(),
            slice,
            doorbell,
            interrupt,
        }
    }

    /// The socket.
    #[must_use]
    pub fn peer(&self) -> &OwnedFd {
        &self.peer
    }

    /// The slice.
    #[must_use]
    pub const fn slice(&self) -> &Window {
        &self.slice
    }

    /// What wakes it.
    #[must_use]
    pub const fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }
}

impl Park for Guest {
    type Ticket = ();
    type Lost = Lost;

    fn ticket(&self) {}

    fn park(&self, (): ()) -> Result<(), Lost> {
        match self.doorbell.wait(&self.peer) {
            true => Err(Lost),
            false => Ok(()),
        }
    }
}

/// What wakes a guest. Clones are the same.
#[derive(Clone, Debug)]
pub struct Interrupt {
    event: Event,
    pending: Option<Pending>,
}

/// A bit in memory that says whose interrupt it is, where several have one.
#[derive(Clone, Debug)]
struct Pending {
    page: Window,
    word: usize,
    mask: u64,
}

impl Interrupt {
    /// One that is this guest's alone.
    #[must_use]
    pub const fn new(event: Event) -> Self {
        let pending = None;
        Self { event, pending }
    }

    /// One before which a bit of a page is set, counted from the page's start, in words of 64. `None` where the page has no
    /// such bit.
    #[must_use]
    pub fn with_pending(event: Event, page: Window, bit: usize) -> Option<Self> {
        let (word, mask) = (bit / 64, 1 << (bit % 64));
        page.words().get(word)?;
        let pending = Some(Pending { page, word, mask });
        Some(Self { event, pending })
    }
}

impl Wake for Interrupt {
    fn wake(&self) {
        if let Some(Pending { page, word, mask }) = &self.pending {
            // Who sees the interrupt sees the bit, and what was written before it.
            page.words()[*word].fetch_or(*mask, Ordering::Release);
        }
        self.event.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bit_is_set_before_the_wake() {
        let (_, page) = Window::create(4096).unwrap();
        page.words()[1].store(1, Ordering::Relaxed);
        let event = Event::new().unwrap();
        let interrupt = Interrupt::with_pending(event.clone(), page.clone(), 67).unwrap();
        assert!(!vgpu_poll::is_readable(&event, Duration::ZERO).unwrap());
        interrupt.wake();
        assert!(vgpu_poll::is_readable(&event, Duration::ZERO).unwrap());
        let words: Vec<_> = page.words()[..4]
            .iter()
            .map(|word| word.load(Ordering::Acquire))
            .collect();
        assert_eq!(words, [0, 0b1001, 0, 0]);
        assert!(Interrupt::with_pending(event, page, 4096 * 8).is_none());
    }
}
