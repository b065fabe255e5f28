//! The client's side of a socket whose protocol is made of lines.

use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::io::{Errno, retry_on_intr};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::{LineError, LineReader};

/// A connection that is read by lines and never waits without end.
#[derive(Debug)]
pub struct LineStream {
    stream: LineReader<UnixStream>,
}

impl LineStream {
    /// Connects to whoever listens at `path`, who has `limit` to take the
    /// connection, and then what is sent.
    ///
    /// # Errors
    ///
    /// [`LineError::Connect`], or [`LineError::TimedOut`] where the server does
    /// not take the connections that wait already.
    pub fn connect(path: &Path, limit: Duration) -> Result<Self, LineError> {
        let refused = |error: Errno| match error {
            Errno::AGAIN => LineError::TimedOut,
            error => LineError::Connect(error.into()),
        };
        let address = SocketAddrUnix::new(path).map_err(refused)?;
        let flags = SocketFlags::CLOEXEC;
        let socket = net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
            .map_err(refused)?;
        set_socket_timeout(&socket, Timeout::Send, Some(limit)).map_err(refused)?;
        retry_on_intr(|| net::connect(&socket, &address)).map_err(refused)?;
        Ok(Self {
            stream: LineReader::new(socket.into()),
        })
    }

    /// Sends all of `bytes`.
    ///
    /// # Errors
    ///
    /// [`LineError::TimedOut`] or [`LineError::Closed`].
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), LineError> {
        let sent = self.stream.get_mut().write_all(bytes);
        sent.map_err(|error| failed(&error))
    }

    /// The next line of at most `longest` bytes, without the newline.
    ///
    /// # Errors
    ///
    /// All but [`LineError::Connect`]; the time is over at `deadline`.
    pub fn receive(&mut self, deadline: Instant, longest: usize) -> Result<Vec<u8>, LineError> {
        self.stream.receive(deadline, longest)
    }
}

impl AsFd for LineStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

fn failed(error: &io::Error) -> LineError {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => LineError::TimedOut,
        _ => LineError::Closed,
    }
}
