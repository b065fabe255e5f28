//! A client that does no more than it is told to.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use crate::bed::LIMIT;

pub(crate) const VERSION: u16 = 1;
pub(crate) const DMA_MAP: u16 = 2;
pub(crate) const DMA_UNMAP: u16 = 3;
pub(crate) const SET_IRQS: u16 = 8;
pub(crate) const REGION_READ: u16 = 9;
pub(crate) const REGION_WRITE: u16 = 10;
pub(crate) const RESET: u16 = 13;
pub(crate) const NO_REPLY: u32 = 1 << 4;

/// Descriptors that one message may carry at most (Linux, `SCM_MAX_FD`).
pub(crate) const MOST_FILES: usize = 253;

pub(crate) struct Raw(pub(crate) UnixStream);

impl Raw {
    pub(crate) fn connect(path: &Path) -> Self {
        let stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        Self(stream)
    }

    /// A client that has the device.
    pub(crate) fn begun(path: &Path) -> Self {
        let mut client = Self::connect(path);
        assert_eq!(client.begin().unwrap(), 0);
        client
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

    /// Sends a command, and returns its reply's error number.
    pub(crate) fn ask(
        &mut self,
        command: u16,
        payload: &[u8],
        files: &[BorrowedFd<'_>],
    ) -> io::Result<u32> {
        self.send(&message(command, 0, payload), files)?;
        self.try_errno()
    }

    /// Sends bytes, with descriptors.
    pub(crate) fn send(&mut self, bytes: &[u8], files: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FILES))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !files.is_empty() {
            assert!(ancillary.push(SendAncillaryMessage::ScmRights(files)));
        }
        let flags = SendFlags::NOSIGNAL;
        let sent = sendmsg(&self.0, &[IoSlice::new(bytes)], &mut ancillary, flags)?;
        self.0.write_all(&bytes[sent..])
    }

    /// Writes BAR0 so many times as QEMU does.
    pub(crate) fn write_without_reply(&mut self, times: usize) {
        self.0.write_all(&write().repeat(times)).unwrap();
    }

    /// Writes BAR0 as QEMU does, which waits for no answer, until the server's
    /// queue is full. The server must not run.
    pub(crate) fn flood(&mut self) {
        self.fill(&write());
    }

    /// Sends the same again and again, until nothing more is taken.
    pub(crate) fn fill(&mut self, message: &[u8]) {
        self.0.set_nonblocking(true).unwrap();
        let full = loop {
            match self.0.write(message) {
                Ok(sent) => assert_eq!(sent, message.len()),
                Err(error) => break error,
            }
        };
        assert_eq!(full.kind(), ErrorKind::WouldBlock);
        self.0.set_nonblocking(false).unwrap();
    }

    /// Reads until the end of file, and returns how many bytes came before it.
    /// Fails where it does not come in time, or the connection is reset.
    pub(crate) fn ends(&mut self) -> usize {
        self.0.read_to_end(&mut Vec::new()).unwrap()
    }
}

/// A write to BAR0.
fn write() -> Vec<u8> {
    let payload = [access(0x10, 0, 4), vec![0; 4]].concat();
    message(REGION_WRITE, NO_REPLY, &payload)
}

/// An access to a region, less the data.
pub(crate) fn access(offset: u64, region: u32, count: u32) -> Vec<u8> {
    [
        &offset.to_ne_bytes()[..],
        &region.to_ne_bytes(),
        &count.to_ne_bytes(),
    ]
    .concat()
}

/// A map for reading and writing, from the start of a file.
pub(crate) fn dma_map(address: u64, size: u64) -> Vec<u8> {
    let head = [32u32.to_ne_bytes(), 3u32.to_ne_bytes()].concat();
    let places = [0, address, size].map(u64::to_ne_bytes).concat();
    [head, places].concat()
}

pub(crate) fn message(command: u16, flags: u32, payload: &[u8]) -> Vec<u8> {
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
