//! A client that does no more than it is told to.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::bed::LIMIT;

const VERSION: u16 = 1;
const REGION_WRITE: u16 = 10;
const NO_REPLY: u32 = 1 << 4;

pub(crate) struct Raw(UnixStream);

impl Raw {
    pub(crate) fn connect(path: &Path) -> Self {
        let stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        Self(stream)
    }

    /// Proposes a version, which begins a connection.
    pub(crate) fn propose(&mut self) {
        self.try_propose().unwrap();
    }

    /// The error number of the next reply, 0 for none.
    pub(crate) fn errno(&mut self) -> u32 {
        self.try_errno().unwrap()
    }

    /// Begins a connection, and returns the reply's error number, if any comes.
    pub(crate) fn begin(&mut self) -> io::Result<u32> {
        self.try_propose()?;
        self.try_errno()
    }

    fn try_propose(&mut self) -> io::Result<()> {
        self.0.write_all(&message(VERSION, 0, &[0; 4]))
    }

    fn try_errno(&mut self) -> io::Result<u32> {
        let mut header = [0; 16];
        self.0.read_exact(&mut header)?;
        let field = |at: usize| u32::from_ne_bytes(header[at..at + 4].try_into().unwrap());
        let mut payload = vec![0; field(4) as usize - header.len()];
        self.0.read_exact(&mut payload)?;
        Ok(field(12))
    }

    /// Writes BAR0 as QEMU does, which waits for no answer, until the server's
    /// queue is full. The server must not run.
    pub(crate) fn flood(&mut self) {
        let write = write();
        self.0.set_nonblocking(true).unwrap();
        let full = loop {
            match self.0.write(&write) {
                Ok(sent) => assert_eq!(sent, write.len()),
                Err(error) => break error,
            }
        };
        assert_eq!(full.kind(), ErrorKind::WouldBlock);
        self.0.set_nonblocking(false).unwrap();
    }

    /// Writes BAR0 so many times as QEMU does.
    pub(crate) fn write_without_reply(&mut self, times: usize) {
        self.0.write_all(&write().repeat(times)).unwrap();
    }

    /// Reads until the end of file, and returns how many bytes came before it.
    /// Fails where it does not come in time, or the connection is reset.
    pub(crate) fn ends(&mut self) -> usize {
        self.0.read_to_end(&mut Vec::new()).unwrap()
    }
}

/// A write to BAR0.
fn write() -> Vec<u8> {
    let access = [0x10u64.to_ne_bytes(), (4u64 << 32).to_ne_bytes()].concat();
    message(REGION_WRITE, NO_REPLY, &[access, vec![0; 4]].concat())
}

fn message(command: u16, flags: u32, payload: &[u8]) -> Vec<u8> {
    let size = 16 + payload.len() as u32;
    [
        &7u16.to_ne_bytes()[..],
        &command.to_ne_bytes(),
        &size.to_ne_bytes(),
        &flags.to_ne_bytes(),
        &[0; 4],
        payload,
    ]
    .concat()
}
