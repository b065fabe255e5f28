//! The reply to a message, in one piece so that one send does.

use std::os::unix::net::UnixStream;

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{SendFlags, send};
use zerocopy::{Immutable, IntoBytes};

use crate::limits::MAX_MESSAGE;
use crate::wire::{ERROR, Header, TYPE_REPLY};

const HEADER: usize = size_of::<Header>();

/// The payload of a reply under way, with room for its header.
#[derive(Debug)]
pub(crate) struct Reply {
    buffer: Box<[u8]>,
    end: usize,
}

impl Reply {
    pub(crate) fn new() -> Self {
        Self {
            buffer: vec![0; MAX_MESSAGE].into(),
            end: HEADER,
        }
    }

    /// Starts the next one.
    pub(crate) fn clear(&mut self) {
        self.end = HEADER;
    }

    /// Adds a structure to the payload.
    pub(crate) fn put(&mut self, value: &(impl IntoBytes + Immutable)) -> Result<(), Errno> {
        let bytes = value.as_bytes();
        self.space(bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }

    /// Adds `size` bytes to the payload, for the caller to fill.
    pub(crate) fn space(&mut self, size: usize) -> Result<&mut [u8], Errno> {
        let end = self.end.saturating_add(size);
        let space = self.buffer.get_mut(self.end..end).ok_or(Errno::MSGSIZE)?;
        self.end = end;
        Ok(space)
    }

    /// Sends it in answer to `command`; an error goes without the payload.
    pub(crate) fn send(
        &mut self,
        stream: &UnixStream,
        command: &Header,
        result: Result<(), Errno>,
    ) -> Result<(), Errno> {
        if let Err(errno) = result {
            return send_error(stream, command, errno);
        }
        let header = Header {
            message_size: self.end as u32, // at most MAX_MESSAGE
            flags: TYPE_REPLY,
            error: 0,
            ..*command
        };
        let message = self.buffer.get_mut(..self.end).unwrap_or_default();
        header
            .write_to_prefix(message)
            .map_err(|_| Errno::MSGSIZE)?;
        send_all(stream, message)
    }
}

/// Sends an error in answer to `command`.
pub(crate) fn send_error(stream: &UnixStream, command: &Header, errno: Errno) -> Result<(), Errno> {
    let header = Header {
        message_size: HEADER as u32,
        flags: TYPE_REPLY | ERROR,
        error: errno.raw_os_error().unsigned_abs(),
        ..*command
    };
    send_all(stream, header.as_bytes())
}

fn send_all(stream: &UnixStream, mut rest: &[u8]) -> Result<(), Errno> {
    while !rest.is_empty() {
        let sent = retry_on_intr(|| send(stream, rest, SendFlags::NOSIGNAL))?;
        rest = rest.get(sent..).unwrap_or_default();
    }
    Ok(())
}
