//! Descriptors of others are closed on a thread of their own: the last one of a machine's memory gives that back to the
//! system, which takes a while, and so long nobody is served.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Sender, channel};
use std::thread;

#[derive(Debug)]
pub(crate) struct Closer(Option<Sender<Vec<OwnedFd>>>);

impl Closer {
    pub(crate) fn new() -> io::Result<Self> {
        let (sender, receiver) = channel();
        let thread = thread::Builder::new().name("closer".into());
        thread.spawn(move || receiver.into_iter().for_each(drop))?;
        Ok(Self(Some(sender)))
    }

    /// Closes at once, on the thread that asks.
    #[cfg(feature = "fuzz")]
    pub(super) const fn here() -> Self {
        Self(None)
    }

    /// How many wait is bounded by how many descriptors the process may have.
    pub(crate) fn close(&self, descriptors: Vec<OwnedFd>) {
        if let Some(sender) = &self.0 {
            let _ = sender.send(descriptors);
        }
    }
}
