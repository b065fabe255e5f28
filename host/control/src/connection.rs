//! A client of the server: lines in, lines out, both of bounded size.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use rustix::io::Errno;
use rustix::net::{self, RecvFlags, SendFlags};
use serde::Serialize;

use crate::protocol::{Error, LONGEST_REQUEST, MAX_UNSENT, Outcome, Reply};
use crate::service::{self, Service};

/// Bytes taken from a client at a time. This bounds how long a guest waits
/// for a client that floods the server.
const CHUNK: usize = 512;

/// The connection is done with and shall be closed.
#[derive(Debug)]
pub(crate) struct Over;

#[derive(Debug)]
pub(crate) struct Connection {
    stream: UnixStream,
    /// The line that is not complete yet.
    input: Vec<u8>,
    /// What the client has not read.
    output: Vec<u8>,
}

impl Connection {
    /// The stream has to be non-blocking.
    pub(crate) fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            input: Vec::new(),
            output: Vec::new(),
        }
    }

    /// Sends a line, or what the client reads of it now.
    pub(crate) fn send(&mut self, line: &impl Serialize) -> Result<(), Over> {
        self.push(line)?;
        self.flush()
    }

    /// Sends what is unsent, takes what came, and answers it, as far as that
    /// goes without waiting.
    pub(crate) fn serve(&mut self, service: &(impl Service + ?Sized)) -> Result<(), Over> {
        let received = self.receive(service);
        self.flush()?;
        received?;
        if self.output.len() > MAX_UNSENT {
            return Err(Over);
        }
        Ok(())
    }

    /// Whether the client has to read before more can be sent.
    pub(crate) fn has_unsent(&self) -> bool {
        !self.output.is_empty()
    }

    fn receive(&mut self, service: &(impl Service + ?Sized)) -> Result<(), Over> {
        let mut chunk = [0; CHUNK];
        let length = match net::recv(&self.stream, &mut chunk, RecvFlags::empty()) {
            // What is left without a newline is no request.
            Ok((0, _)) => return Err(Over),
            Ok((length, _)) => length,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
            Err(_) => return Err(Over),
        };
        let received = chunk.get(..length).unwrap_or_default();
        for part in received.split_inclusive(|&byte| byte == b'\n') {
            self.input.extend_from_slice(part);
            let complete = self.input.pop_if(|byte| *byte == b'\n').is_some();
            if self.input.len() > LONGEST_REQUEST {
                self.push(&Reply {
                    id: None,
                    outcome: Outcome::Error(Error::new(
                        format!("the request is longer than {LONGEST_REQUEST} bytes"),
                        "connect again, and end each request with a newline",
                    )),
                })?;
                return Err(Over);
            }
            if complete {
                if !self.input.trim_ascii().is_empty() {
                    let reply = service::answer(service, &self.input);
                    self.push(&reply)?;
                }
                self.input.clear();
            }
        }
        Ok(())
    }

    fn push(&mut self, line: &impl Serialize) -> Result<(), Over> {
        serde_json::to_writer(&mut self.output, line).map_err(|_| Over)?;
        self.output.push(b'\n');
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Over> {
        if self.output.is_empty() {
            return Ok(());
        }
        match net::send(&self.stream, &self.output, SendFlags::NOSIGNAL) {
            Ok(length) => {
                self.output.drain(..length);
                Ok(())
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(()),
            Err(_) => Err(Over),
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
