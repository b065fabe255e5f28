//! What carries the protocol, and until when it is waited for.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};

/// What carries the protocol, either way: bytes in order, in any pieces.
///
/// Whatever is read and written is one; it waits as it likes then. [`Stream`] keeps the deadlines.
pub trait Transport {
    /// Reads what is there, at least one byte, into the beginning of `buffer`; 0 where nothing will ever come. Waits for it
    /// until the deadline, without end where that is `None`.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::TimedOut`] or [`WouldBlock`](io::ErrorKind::WouldBlock) where nothing came in time; what the system
    /// says otherwise.
    fn receive(&mut self, buffer: &mut [u8], deadline: Option<Instant>) -> io::Result<usize>;

    /// Writes as many bytes as there is room for, at least one. Waits for room as [`receive`](Self::receive) does for bytes.
    ///
    /// # Errors
    ///
    /// As there.
    fn send(&mut self, bytes: &[u8], deadline: Option<Instant>) -> io::Result<usize>;
}

impl<S: Read + Write> Transport for S {
    fn receive(&mut self, buffer: &mut [u8], _: Option<Instant>) -> io::Result<usize> {
        self.read(buffer)
    }

    fn send(&mut self, bytes: &[u8], _: Option<Instant>) -> io::Result<usize> {
        self.write(bytes)
    }
}

/// A way to xenstored: a socket, to one in this domain, or the kernel's device, to one wherever it is.
#[derive(Debug)]
pub struct Stream(OwnedFd);

impl Stream {
    /// A file over which the protocol is spoken. It no longer blocks, nor does any copy of its descriptor.
    ///
    /// # Errors
    ///
    /// The system refuses that.
    pub fn new(file: impl Into<OwnedFd>) -> io::Result<Self> {
        let file = file.into();
        let flags = fcntl_getfl(&file)?;
        fcntl_setfl(&file, flags | OFlags::NONBLOCK)?;
        Ok(Self(file))
    }

    /// A socket that is listened to at `path`, by one who has room for another client within `limit`.
    pub(super) fn connect(path: impl AsRef<Path>, limit: Duration) -> io::Result<Self> {
        let (family, kind) = (AddressFamily::UNIX, SocketType::STREAM);
        let socket = rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
        // unix(7): a connect waits as long as a send does.
        sockopt::set_socket_timeout(&socket, sockopt::Timeout::Send, Some(limit))?;
        rustix::net::connect(&socket, &SocketAddrUnix::new(path.as_ref())?)?;
        Self::new(socket)
    }

    /// The kernel's device at `path`.
    pub(super) fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::new(File::options().read(true).write(true).open(path)?)
    }

    /// Makes an attempt, again once the file is `ready` where it would block.
    fn attempt(
        &self,
        ready: PollFlags,
        deadline: Option<Instant>,
        mut attempt: impl FnMut(&OwnedFd) -> Result<usize, Errno>,
    ) -> io::Result<usize> {
        loop {
            match attempt(&self.0) {
                Err(Errno::AGAIN) => self.wait(ready, deadline)?,
                Err(Errno::INTR) => {}
                done => return Ok(done?),
            }
        }
    }

    /// Waits until the file is `ready`, or a signal has come.
    fn wait(&self, ready: PollFlags, deadline: Option<Instant>) -> io::Result<()> {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        // One that is too long for the system is none.
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut [PollFd::new(&self.0, ready)], left.as_ref()) {
            Ok(0) => Err(io::ErrorKind::TimedOut.into()),
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl Transport for Stream {
    fn receive(&mut self, buffer: &mut [u8], deadline: Option<Instant>) -> io::Result<usize> {
        self.attempt(PollFlags::IN, deadline, |file| {
            rustix::io::read(file, &mut *buffer)
        })
    }

    /// The kernel's device is never waited for: it keeps a request until xenstored takes it, and never says that there is
    /// room.
    fn send(&mut self, bytes: &[u8], deadline: Option<Instant>) -> io::Result<usize> {
        self.attempt(PollFlags::OUT, deadline, |file| {
            rustix::io::write(file, bytes)
        })
    }
}

impl AsFd for Stream {
    /// Readable when something has come.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "Miri has no sockets in folders")]
    fn who_takes_no_client_is_not_waited_for_without_end() {
        let path = std::env::temp_dir().join(format!("xen-dm-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let listener = UnixListener::bind(&path).unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let limit = Duration::from_millis(50);
        let first = Stream::connect(&path, limit);
        let began = Instant::now();
        let second = Stream::connect(&path, limit);
        std::fs::remove_file(&path).unwrap();
        assert!(first.is_ok(), "{first:?}");
        assert!(second.is_err() && began.elapsed() >= limit, "{second:?}");
    }
}
