//! Whole messages over a stream, which carries them in pieces. What has come, and what could not be sent, when the time is
//! over is kept: the next message begins where the last one ends.

use std::io;
use std::time::Instant;

use super::error::Error;
use super::stream::Transport;
use super::wire::{Header, LONGEST, Message};

#[derive(Debug)]
pub(super) struct Channel<S> {
    pub(super) stream: S,
    /// The beginning of the next message.
    incoming: Vec<u8>,
    /// The end of the last message.
    outgoing: Vec<u8>,
}

impl<S: Transport> Channel<S> {
    pub(super) fn over(stream: S) -> Self {
        Self {
            stream,
            incoming: Vec::new(),
            outgoing: Vec::new(),
        }
    }

    /// Sends a message, after what is left of the last one. Fails where it is not all gone at the deadline; the rest goes
    /// before the next.
    pub(super) fn send(&mut self, message: &[u8], deadline: Option<Instant>) -> Result<(), Error> {
        self.flush(deadline)?;
        self.outgoing.extend(message);
        self.flush(deadline)
    }

    fn flush(&mut self, deadline: Option<Instant>) -> Result<(), Error> {
        while !self.outgoing.is_empty() {
            match self.stream.send(&self.outgoing, deadline) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
                Ok(count) => drop(self.outgoing.drain(..count.min(self.outgoing.len()))),
                Err(error) => {
                    if !try_again(error)? {
                        return Err(Error::TimedOut);
                    }
                }
            }
        }
        Ok(())
    }

    /// The next message; `None` where it is not whole at the deadline.
    pub(super) fn receive(&mut self, deadline: Option<Instant>) -> Result<Option<Message>, Error> {
        loop {
            let body = match self.incoming.split_first_chunk::<{ Header::SIZE }>() {
                None => None,
                Some((header, body)) => {
                    let header = Header::from_bytes(*header);
                    if header.length() > LONGEST {
                        return Err(Error::Protocol);
                    }
                    if body.len() == header.length() {
                        let body = body.to_vec();
                        self.incoming.clear();
                        return Ok(Some((header, body)));
                    }
                    Some(header.length())
                }
            };
            // What follows is the next message's.
            let size = Header::SIZE.saturating_add(body.unwrap_or(0));
            let there = self.incoming.len();
            self.incoming.resize(size, 0);
            let missing = self.incoming.get_mut(there..).unwrap_or_default();
            let received = self.stream.receive(missing, deadline);
            let count = *received.as_ref().unwrap_or(&0);
            self.incoming.truncate(there.saturating_add(count));
            match received {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Ok(_) => {}
                Err(error) => {
                    if !try_again(error)? {
                        return Ok(None);
                    }
                }
            }
        }
    }
}

/// Whether what the stream has failed to do is to be tried again; not where the time is over.
fn try_again(error: io::Error) -> Result<bool, Error> {
    match error.kind() {
        io::ErrorKind::Interrupted => Ok(true),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Ok(false),
        _ => Err(error.into()),
    }
}
