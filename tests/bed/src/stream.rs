//! A UNIX socket that is read by lines and blocks, each with a deadline.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How long a write may wait for the other side to make room.
const WRITE_LIMIT: Duration = Duration::from_secs(30);

/// What came too early stays here for the next read, so a read that ran out of time loses nothing.
#[derive(Debug)]
pub struct Stream {
    socket: UnixStream,
    buffer: Vec<u8>,
}

impl Stream {
    /// Reads from and writes to `socket`.
    ///
    /// # Errors
    /// When the socket cannot be set up.
    pub fn new(socket: UnixStream) -> Result<Self> {
        socket.set_write_timeout(Some(WRITE_LIMIT))?;
        Ok(Self {
            socket,
            buffer: Vec::new(),
        })
    }

    /// The next line, without its end. Bytes that are not UTF-8 are replaced.
    ///
    /// # Errors
    /// At the `deadline`, or when the other side has closed the connection.
    pub fn read_line(&mut self, deadline: Instant) -> Result<String> {
        let mut searched = 0;
        loop {
            if let Some(found) = self.buffer[searched..]
                .iter()
                .position(|&byte| byte == b'\n')
            {
                let line: Vec<u8> = self.buffer.drain(..=searched + found).collect();
                return Ok(String::from_utf8_lossy(&line)
                    .trim_end_matches(['\r', '\n'])
                    .to_string());
            }
            searched = self.buffer.len();
            self.fill(deadline)?;
        }
    }

    /// The next `length` bytes.
    ///
    /// # Errors
    /// As [`Self::read_line`].
    pub fn read_exact(&mut self, length: usize, deadline: Instant) -> Result<Vec<u8>> {
        while self.buffer.len() < length {
            self.fill(deadline)?;
        }
        Ok(self.buffer.drain(..length).collect())
    }

    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// When the other side has closed the connection, or makes no room for half a minute.
    pub fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        self.socket
            .write_all(bytes)
            .context("cannot write to the connection")
    }

    fn fill(&mut self, deadline: Instant) -> Result<()> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            bail!("it ran out of time");
        }
        self.socket.set_read_timeout(Some(left))?;
        let mut chunk = [0; 4096];
        match self.socket.read(&mut chunk) {
            Ok(0) => bail!("the connection was closed"),
            Ok(count) => self.buffer.extend_from_slice(&chunk[..count]),
            Err(error) if is_transient(&error) => {}
            Err(error) => return Err(error).context("cannot read from the connection"),
        }
        Ok(())
    }
}

fn is_transient(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
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
            "it ran out of time"
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
