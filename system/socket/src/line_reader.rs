//! Lines from whoever may send none, one without end, or one byte at a time.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use vgpu_poll::is_readable;

use crate::LineError;

/// What one look takes in at most.
const CHUNK: usize = 4096;

/// Reads a pipe or a socket by lines. It keeps no more than a line of the
/// longest kind and one read, and waits for nothing beyond a deadline, however
/// the bytes come.
#[derive(Debug)]
pub struct LineReader<S> {
    source: S,
    /// What came after the last line.
    input: Vec<u8>,
    /// How much of it has no newline.
    searched: usize,
}

impl<S: Read + AsFd> LineReader<S> {
    /// Reads lines from `source`.
    pub fn new(source: S) -> Self {
        Self {
            source,
            input: Vec::new(),
            searched: 0,
        }
    }

    /// The next line of at most `longest` bytes, without the newline.
    ///
    /// # Errors
    ///
    /// All but [`LineError::Connect`]; the time is over at `deadline`.
    pub fn receive(&mut self, deadline: Instant, longest: usize) -> Result<Vec<u8>, LineError> {
        loop {
            if let Some(line) = self.next_line(longest)? {
                return Ok(line);
            }
            self.wait(deadline)?;
        }
    }

    /// The next `length` bytes, where a line before them has said that so many follow.
    ///
    /// # Errors
    ///
    /// As [`LineReader::receive`], but for length.
    pub fn receive_exact(
        &mut self,
        deadline: Instant,
        length: usize,
    ) -> Result<Vec<u8>, LineError> {
        while self.input.len() < length {
            self.wait(deadline)?;
        }
        self.searched = 0;
        let rest = self.input.split_off(length);
        Ok(std::mem::replace(&mut self.input, rest))
    }

    /// Reads what comes, before the deadline.
    fn wait(&mut self, deadline: Instant) -> Result<(), LineError> {
        let left = deadline.saturating_duration_since(Instant::now());
        match is_readable(&self.source, left) {
            Ok(true) => self.take_in(),
            Ok(false) if Instant::now() >= deadline => Err(LineError::TimedOut),
            // A signal has come.
            Ok(false) => Ok(()),
            Err(_) => Err(LineError::Closed),
        }
    }

    /// The next line of at most `longest` bytes, if all of it is there, for who [polls](AsFd) the source
    /// with others: to be called where it is readable, or has hung up, once
    /// each time. It does not wait then.
    ///
    /// # Errors
    ///
    /// [`LineError::Closed`] or [`LineError::TooLong`].
    pub fn receive_ready(&mut self, longest: usize) -> Result<Option<Vec<u8>>, LineError> {
        if let Some(line) = self.next_line(longest)? {
            return Ok(Some(line));
        }
        self.take_in()?;
        self.next_line(longest)
    }

    /// Takes what came after the last line: of a sender that has closed its end, the line that it did not end; or one
    /// that is too long, as far as it has been read.
    pub fn take_rest(&mut self) -> Vec<u8> {
        self.searched = 0;
        std::mem::take(&mut self.input)
    }

    /// The source.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.source
    }

    /// The next line of what has been read.
    fn next_line(&mut self, longest: usize) -> Result<Option<Vec<u8>>, LineError> {
        let new = self.input.iter().skip(self.searched);
        let Some(end) = new.copied().position(|byte| byte == b'\n') else {
            self.searched = self.input.len();
            return if self.searched > longest {
                Err(LineError::TooLong)
            } else {
                Ok(None)
            };
        };
        let end = self.searched + end;
        if end > longest {
            return Err(LineError::TooLong);
        }
        self.searched = 0;
        let rest = self.input.split_off(end + 1);
        let mut line = std::mem::replace(&mut self.input, rest);
        line.pop();
        Ok(Some(line))
    }

    /// Reads once.
    fn take_in(&mut self) -> Result<(), LineError> {
        let mut chunk = [0; CHUNK];
        match self.source.read(&mut chunk) {
            Ok(0) => Err(LineError::Closed),
            Ok(length) => {
                self.input.extend(chunk.iter().take(length));
                Ok(())
            }
            Err(error) if is_nothing_yet(&error) => Ok(()),
            Err(_) => Err(LineError::Closed),
        }
    }
}

fn is_nothing_yet(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock
    )
}

impl<S: AsFd> AsFd for LineReader<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.source.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixStream;
    use std::thread;
    use std::time::Duration;

    use super::*;

    const LONGEST: usize = 16;
    const SOON: Duration = Duration::from_millis(200);
    /// More than any of these tests may take.
    const LONG: Duration = Duration::from_secs(10);

    fn pair() -> (UnixStream, LineReader<UnixStream>) {
        let (sender, receiver) = UnixStream::pair().unwrap();
        (sender, LineReader::new(receiver))
    }

    #[test]
    fn lines_come_one_by_one() {
        let (mut sender, mut reader) = pair();
        sender.write_all(b"one\n\nthree\nhalf").unwrap();
        let deadline = Instant::now() + LONG;
        for line in ["one", "", "three"] {
            assert_eq!(reader.receive(deadline, LONGEST).unwrap(), line.as_bytes());
        }
        sender.write_all(b" a ").unwrap();
        assert!(reader.receive_ready(LONGEST).unwrap().is_none());
        sender.write_all(b"line\n").unwrap();
        assert_eq!(
            reader.receive_ready(LONGEST).unwrap().unwrap(),
            b"half a line"
        );
        drop(sender);
        assert!(matches!(
            reader.receive_ready(LONGEST),
            Err(LineError::Closed)
        ));
        assert!(matches!(
            reader.receive(deadline, LONGEST),
            Err(LineError::Closed)
        ));
    }

    #[test]
    fn lines_and_blocks_follow_each_other() {
        let (mut sender, mut reader) = pair();
        sender.write_all(b"6\nblock\nno line").unwrap();
        let deadline = Instant::now() + LONG;
        assert_eq!(reader.receive(deadline, LONGEST).unwrap(), b"6");
        assert!(reader.receive_ready(LONGEST).is_ok());
        assert_eq!(reader.receive_exact(deadline, 0).unwrap(), b"");
        assert!(matches!(
            reader.receive_exact(Instant::now(), 14),
            Err(LineError::TimedOut)
        ));
        sender.write_all(b"\n").unwrap();
        drop(sender);
        assert_eq!(reader.receive(deadline, LONGEST).unwrap(), b"no line");
        assert!(matches!(
            reader.receive_exact(deadline, 1),
            Err(LineError::Closed)
        ));
    }

    #[test]
    fn a_byte_now_and_then_does_not_move_the_deadline() {
        let (mut sender, mut reader) = pair();
        let dribble = thread::spawn(move || {
            while sender.write_all(b"x").is_ok() {
                thread::sleep(SOON / 4);
            }
        });
        let began = Instant::now();
        let got = reader.receive(began + SOON, LONGEST);
        assert!(matches!(got, Err(LineError::TimedOut)), "{got:?}");
        assert!(began.elapsed() < LONG);
        drop(reader);
        dribble.join().unwrap();
    }

    #[test]
    fn a_line_without_end_is_not_kept() {
        let (mut sender, mut reader) = pair();
        let flood = thread::spawn(move || while sender.write_all(&[b'x'; 65536]).is_ok() {});
        let got = reader.receive(Instant::now() + LONG, LONGEST);
        assert!(matches!(got, Err(LineError::TooLong)), "{got:?}");
        assert!(reader.input.capacity() <= 2 * CHUNK);
        drop(reader);
        flood.join().unwrap();
    }

    #[test]
    fn a_line_that_ends_can_be_too_long_as_well() {
        let (mut sender, mut reader) = pair();
        sender.write_all(&[b'x'; LONGEST + 1]).unwrap();
        sender.write_all(b"\nshort\n").unwrap();
        let deadline = Instant::now() + LONG;
        assert!(matches!(
            reader.receive(deadline, LONGEST),
            Err(LineError::TooLong)
        ));
        let rest = [&[b'x'; LONGEST + 1][..], b"\nshort\n"].concat();
        assert_eq!(reader.take_rest(), rest);
    }

    #[test]
    fn a_line_that_its_sender_does_not_end_is_the_rest() {
        let (mut sender, mut reader) = pair();
        sender.write_all(b"one\nha").unwrap();
        assert_eq!(reader.receive_ready(LONGEST).unwrap().unwrap(), b"one");
        sender.write_all(b"lf").unwrap();
        drop(sender);
        assert!(reader.receive_ready(LONGEST).unwrap().is_none());
        assert!(matches!(
            reader.receive_ready(LONGEST),
            Err(LineError::Closed)
        ));
        assert_eq!(reader.take_rest(), b"half");
        assert_eq!(reader.take_rest(), b"");
    }
}
