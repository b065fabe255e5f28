//! A UNIX socket that is read by lines and blocks, each with a deadline.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use vgpu_socket::LineReader;

/// How long a write may wait for the other side to make room.
const WRITE_LIMIT: Duration = Duration::from_secs(30);

/// As long as may be: QEMU's answers are long, and it is trusted here.
const LONGEST: usize = usize::MAX;

/// What came too early stays here for the next read, so a read that ran out of time loses nothing.
#[derive(Debug)]
pub struct Stream {
    reader: LineReader<UnixStream>,
}

impl Stream {
    /// Reads from and writes to `socket`.
    ///
    /// # Errors
    /// When the socket cannot be set up.
    pub fn new(socket: UnixStream) -> Result<Self> {
        socket.set_write_timeout(Some(WRITE_LIMIT))?;
        Ok(Self {
            reader: LineReader::new(socket),
        })
    }

    /// The next line, without its end. Bytes that are not UTF-8 are replaced.
    ///
    /// # Errors
    /// At the `deadline`, or when the other side has closed the connection.
    pub fn read_line(&mut self, deadline: Instant) -> Result<String> {
        let line = self.reader.receive(deadline, LONGEST)?;
        let line = String::from_utf8_lossy(&line);
        Ok(line.trim_end_matches('\r').to_owned())
    }

    /// The next `length` bytes.
    ///
    /// # Errors
    /// As [`Self::read_line`].
    pub fn read_exact(&mut self, length: usize, deadline: Instant) -> Result<Vec<u8>> {
        Ok(self.reader.receive_exact(deadline, length)?)
    }

    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// When the other side has closed the connection, or makes no room for half a minute.
    pub fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        let socket = self.reader.get_mut();
        socket
            .write_all(bytes)
            .context("cannot write to the connection")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(20)
    }

    #[test]
    fn lines_and_blocks_follow_each_other() {
        let (socket, mut peer) = UnixStream::pair().unwrap();
        let mut stream = Stream::new(socket).unwrap();
        peer.write_all(b"first\r\n\xff\nblock\nrest").unwrap();
        assert_eq!(stream.read_line(soon()).unwrap(), "first");
        assert_eq!(stream.read_line(soon()).unwrap(), "\u{fffd}");
        assert_eq!(stream.read_exact(6, soon()).unwrap(), b"block\n");
        assert_eq!(stream.read_exact(0, soon()).unwrap(), b"");
        assert_eq!(stream.read_exact(4, soon()).unwrap(), b"rest");
    }

    #[test]
    fn a_read_that_ran_out_of_time_loses_nothing() {
        let (socket, mut peer) = UnixStream::pair().unwrap();
        let mut stream = Stream::new(socket).unwrap();
        peer.write_all(b"half").unwrap();
        assert_eq!(
            stream.read_line(soon()).unwrap_err().to_string(),
            "no answer in time"
        );
        peer.write_all(b" a line\n").unwrap();
        assert_eq!(stream.read_line(soon()).unwrap(), "half a line");
    }

    #[test]
    fn a_closed_connection_is_an_error() {
        let (socket, peer) = UnixStream::pair().unwrap();
        let mut stream = Stream::new(socket).unwrap();
        drop(peer);
        assert_eq!(
            stream.read_exact(1, soon()).unwrap_err().to_string(),
            "the connection was closed"
        );
        assert!(stream.write_all(b"x").is_err());
    }
}
