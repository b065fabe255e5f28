//! Cuts the stream of bytes that a client sends into messages.

use std::io::IoSliceMut;
use std::mem::{self, MaybeUninit};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::event::PollFlags;
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, recvmsg};
use zerocopy::FromBytes;

use crate::files::Files;
use crate::limits::{MAX_MESSAGE, MESSAGE_LIMIT};
use crate::patience::Patience;
use crate::wire::Header;

/// A whole message.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    pub(crate) header: Header,
    /// What follows the header.
    pub(crate) payload: &'a [u8],
    /// The descriptors that came with it.
    pub(crate) files: Files,
}

/// Why there is no next message.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// The client closed the connection, perhaps in the middle of a message.
    Closed,
    /// The client took longer than this for a message.
    Slow(Duration),
    /// A message of a size that none can have; where the next one begins is
    /// not known.
    Size(Header),
    /// The client sent ever more descriptors with one message.
    Descriptors,
    /// The connection failed.
    Failed(Errno),
}

/// What has been received and not yet been used.
///
/// One receive takes what there is, up to the largest message, so a client
/// that waits for each reply costs one receive per message.
#[derive(Debug)]
pub(crate) struct Receiver {
    buffer: Box<[u8]>,
    /// Where the next message begins in the buffer.
    start: usize,
    /// Where the received bytes end.
    end: usize,
    /// Descriptors of the message that holds the last received byte: the
    /// kernel ends a receive after bytes that came with descriptors, and all
    /// earlier messages are used before the next receive.
    files: Files,
}

impl Receiver {
    pub(crate) fn new() -> Self {
        Self {
            buffer: vec![0; MAX_MESSAGE].into(),
            start: 0,
            end: 0,
            files: Files::default(),
        }
    }

    /// Waits until all of a message is there, for `patience`, and leaves it
    /// to [`Self::next`].
    pub(crate) fn wait(
        &mut self,
        stream: &UnixStream,
        patience: &Patience,
    ) -> Result<Header, Stopped> {
        loop {
            if let Some((header, _)) = self.complete()? {
                return Ok(header);
            }
            match patience.wait(stream, PollFlags::IN) {
                Ok(()) => self.receive(stream)?,
                Err(Errno::TIMEDOUT) => return Err(Stopped::Slow(patience.limit)),
                Err(errno) => return Err(Stopped::Failed(errno)),
            }
        }
    }

    /// Whether the next message needs no more from the client.
    pub(crate) fn has_next(&self) -> bool {
        !matches!(self.complete(), Ok(None))
    }

    /// Waits for the next message: for ever until it begins, and then for all
    /// of it no longer than [`MESSAGE_LIMIT`].
    pub(crate) fn next(&mut self, stream: &UnixStream) -> Result<Message<'_>, Stopped> {
        let (header, size) = loop {
            if let Some(message) = self.complete()? {
                break message;
            }
            if self.start == self.end {
                self.receive(stream)?;
            } else {
                self.wait(stream, &Patience::new(MESSAGE_LIMIT))?;
            }
        };
        let from = self.start.saturating_add(MIN_MESSAGE);
        let to = self.start.saturating_add(size);
        self.start = to;
        let files = if self.start == self.end {
            mem::take(&mut self.files)
        } else {
            Files::default()
        };
        Ok(Message {
            header,
            payload: self.buffer.get(from..to).unwrap_or_default(),
            files,
        })
    }

    /// The header and size of the next message, if all of it is there.
    fn complete(&self) -> Result<Option<(Header, usize)>, Stopped> {
        let received = self.buffer.get(self.start..self.end).unwrap_or_default();
        let Ok((header, _)) = Header::read_from_prefix(received) else {
            return Ok(None);
        };
        match header.message_size as usize {
            size @ MIN_MESSAGE..=MAX_MESSAGE => {
                Ok((size <= received.len()).then_some((header, size)))
            }
            _ => Err(Stopped::Size(header)),
        }
    }

    /// Waits for more of the message at `start`.
    fn receive(&mut self, stream: &UnixStream) -> Result<(), Stopped> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end = self.end.saturating_sub(self.start);
        self.start = 0;

        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SCM_MAX_FD))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let free = self.buffer.get_mut(self.end..).unwrap_or_default();
        let received = retry_on_intr(|| {
            recvmsg(
                stream,
                &mut [IoSliceMut::new(free)],
                &mut ancillary,
                RecvFlags::CMSG_CLOEXEC,
            )
        });
        let received = match received {
            Ok(received) => received,
            Err(errno) => return Err(Stopped::Failed(errno)),
        };
        let too_many = self.files.overflowed();
        let before = self.files.count();
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(files) = message {
                files.for_each(|file| self.files.push(file));
            }
        }
        // Those of one receive are answered with an error; more would take all
        // that the process may have.
        if too_many && self.files.count() > before {
            return Err(Stopped::Descriptors);
        }
        if received.flags.contains(ReturnFlags::CTRUNC) {
            self.files.mark_overflowed();
        }
        if received.bytes == 0 {
            return Err(Stopped::Closed);
        }
        self.end = self.end.saturating_add(received.bytes);
        Ok(())
    }
}

/// Descriptors that the kernel lets a message carry (Linux, net/scm.h). Where
/// there is no room for one, the kernel closes it, and this thread waits.
const SCM_MAX_FD: usize = 253;

/// A header alone.
const MIN_MESSAGE: usize = size_of::<Header>();
