//! Waits for several descriptors at once, each by the name that a loop has for it.
//!
//! ```no_run
//! # use std::os::unix::net::{UnixListener, UnixStream};
//! # use std::time::Duration;
//! # fn run(signalled: &UnixStream, control: Option<&UnixListener>) -> std::io::Result<()> {
//! use vgpu_poll::Poll;
//!
//! #[derive(Clone, Copy)]
//! enum Source {
//!     Signal,
//!     Control,
//! }
//!
//! loop {
//!     let ready = Poll::new()
//!         .readable(Source::Signal, signalled)
//!         // There may be none.
//!         .readable(Source::Control, control)
//!         .wait(Some(Duration::from_secs(5)))?;
//!     for source in ready {
//!         match source {
//!             Source::Signal => return Ok(()),
//!             Source::Control => { /* … */ }
//!         }
//!     }
//! }
//! # }
//! ```
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// What to wait for: descriptors, each with a name of type `S`.
#[derive(Debug, Default)]
#[must_use = "nothing is waited for before `wait`"]
pub struct Poll<'a, S> {
    names: Vec<S>,
    fds: Vec<PollFd<'a>>,
}

impl<'a, S> Poll<'a, S> {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self {
            names: Vec::new(),
            fds: Vec::new(),
        }
    }

    /// Adds a file that is waited for until there is something to read, or nothing will ever come. `None` adds nothing.
    pub fn readable<F: AsFd + 'a>(self, name: S, file: impl Into<Option<&'a F>>) -> Self {
        self.add(name, file.into(), PollFlags::IN)
    }

    /// Adds a file that is waited for until its other end is closed, whatever there is to read. `None` adds nothing.
    ///
    /// A file that has no other end, such as `/dev/null`, is never closed so.
    pub fn hung_up<F: AsFd + 'a>(self, name: S, file: impl Into<Option<&'a F>>) -> Self {
        self.add(name, file.into(), PollFlags::RDHUP)
    }

    fn add<F: AsFd + 'a>(mut self, name: S, file: Option<&'a F>, events: PollFlags) -> Self {
        if let Some(file) = file {
            self.names.push(name);
            self.fds.push(PollFd::new(file, events));
        }
        self
    }

    /// Waits until one of them is ready, or has failed, but no longer than `limit`: without end where that is `None`.
    /// Returns all that are, in the order in which they were added; none where the time is over, or a signal has come.
    ///
    /// # Errors
    ///
    /// The system has no memory for it.
    pub fn wait(mut self, limit: Option<Duration>) -> io::Result<Vec<S>> {
        // One that is too long for the system is none.
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        match poll(&mut self.fds, limit.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        let all = self.names.into_iter().zip(&self.fds);
        let ready = all.filter(|(_, fd)| !fd.revents().is_empty());
        Ok(ready.map(|(name, _)| name).collect())
    }
}

/// Whether there is something to read from a file, or nothing will ever come, within `limit`.
///
/// # Errors
///
/// As for [`Poll::wait`].
pub fn is_readable(file: &impl AsFd, limit: Duration) -> io::Result<bool> {
    let ready = Poll::new().readable((), file).wait(Some(limit))?;
    Ok(!ready.is_empty())
}

/// Whether a file's other end is closed now.
///
/// # Errors
///
/// As for [`Poll::wait`].
pub fn is_hung_up(file: &impl AsFd) -> io::Result<bool> {
    let ready = Poll::new().hung_up((), file).wait(Some(Duration::ZERO))?;
    Ok(!ready.is_empty())
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;
    use std::time::Instant;

    use super::*;

    const NOW: Option<Duration> = Some(Duration::ZERO);

    fn pair() -> (UnixStream, UnixStream) {
        UnixStream::pair().unwrap()
    }

    #[test]
    fn those_that_are_ready_come_in_order() {
        let ((mut first, a), (mut second, b), (_third, c)) = (pair(), pair(), pair());
        second.write_all(b"x").unwrap();
        first.write_all(b"x").unwrap();
        let all = || {
            Poll::new()
                .readable('a', &a)
                .readable('-', None::<&UnixStream>)
                .readable('b', &b)
                .readable('c', &c)
        };
        assert_eq!(all().wait(NOW).unwrap(), ['a', 'b']);
        assert_eq!(all().wait(None).unwrap(), ['a', 'b']);
    }

    #[test]
    fn a_closed_end_is_heard_by_both_kinds() {
        let (mut other, own) = pair();
        other.write_all(b"x").unwrap();
        let hung_up = || Poll::new().hung_up((), &own).wait(NOW).unwrap().len();
        assert_eq!(
            hung_up(),
            0,
            "there is something to read, and more may come"
        );
        assert!(!is_hung_up(&own).unwrap());
        drop(other);
        assert_eq!(hung_up(), 1);
        assert!(is_hung_up(&own).unwrap());
        assert!(is_readable(&own, Duration::ZERO).unwrap());

        let (reader, writer) = io::pipe().unwrap();
        assert!(!is_readable(&reader, Duration::ZERO).unwrap());
        drop(writer);
        assert!(is_hung_up(&reader).unwrap() && is_readable(&reader, Duration::ZERO).unwrap());
    }

    #[test]
    fn the_limit_is_kept() {
        let (_other, own) = pair();
        let began = Instant::now();
        let limit = Duration::from_millis(30);
        assert!(!is_readable(&own, limit).unwrap());
        assert!(began.elapsed() >= limit);
    }
}
