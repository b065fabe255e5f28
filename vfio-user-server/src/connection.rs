//! One client, from its first message to its last.

use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Weak};
use std::time::Duration;

use rustix::io::Errno;
use thiserror::Error;
use vfio_user::Command;

use crate::close;
use crate::command::Session;
use crate::device::Device;
use crate::receive::{Receiver, Stopped};
use crate::refusal::refuse;
use crate::reply::Reply;
use crate::version;
use crate::wire::{Header, NO_REPLY, TYPE_MASK};

/// A connection to a client, not begun yet.
///
/// However it ends, also where it is dropped, the client reads what was sent
/// to it and then the end of file, never `ECONNRESET`: what it has sent and
/// the server has not received is received, and dropped, before the stream is
/// closed.
#[derive(Debug)]
pub struct Connection {
    stream: Arc<UnixStream>,
}

/// Ends a connection from another thread.
#[derive(Debug)]
pub struct Stop {
    stream: Weak<UnixStream>,
}

/// Why a connection ended other than by the client's closing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Broken {
    /// The client's first message was no proposal of a version, or of one that
    /// is not known here.
    #[error("the client speaks no version of vfio-user that this server knows")]
    Version,
    /// The client sent a message whose header gives it a size that no message
    /// has, in bytes.
    #[error("the client sent a message of {0} bytes, which none can have")]
    Size(u32),
    /// The connection failed.
    #[error("the connection to the client failed: {0}")]
    Failed(Errno),
}

impl Connection {
    /// A connection over a stream in blocking mode that a client opened.
    #[must_use]
    pub fn new(stream: UnixStream) -> Self {
        Self {
            stream: Arc::new(stream),
        }
    }

    /// A handle to end it.
    #[must_use]
    pub fn stop_handle(&self) -> Stop {
        Stop {
            stream: Arc::downgrade(&self.stream),
        }
    }

    /// Turns the client away: its first message is answered with an error,
    /// such as [`Errno::BUSY`], and it is left time to leave by itself.
    ///
    /// Waits for the client alone, and no longer than `limit` in all. A client
    /// that sends nothing by then hears nothing.
    pub fn refuse(self, errno: Errno, limit: Duration) {
        // Whether the client has heard it changes nothing.
        let _ = refuse(&self.stream, errno, limit);
    }

    /// Answers the client until it leaves, or [`Stop::stop`] is called.
    ///
    /// Waits for the client alone. Once begun, a message costs one receive and
    /// one send, and allocates nothing, but for `DMA_MAP`.
    ///
    /// # Errors
    ///
    /// If the client breaks the protocol so that the stream makes no sense any
    /// more, or the connection fails. Whatever else the client asks for gets
    /// its error, and the connection goes on.
    pub fn serve(self, device: &mut dyn Device) -> Result<(), Broken> {
        let mut receiver = Receiver::new();
        let mut reply = Reply::new();
        match self.begin(&mut receiver, &mut reply) {
            Ok(()) => {}
            Err(end) => return self.end(&end, &mut reply),
        }
        let mut session = Session::new(device);
        loop {
            if let Err(end) = self.answer(&mut session, &mut receiver, &mut reply) {
                return self.end(&end, &mut reply);
            }
        }
    }

    /// Agrees on a version.
    fn begin(&self, receiver: &mut Receiver, reply: &mut Reply) -> Result<(), End> {
        let message = receiver.next(&self.stream)?;
        let proposal = message.header.flags & TYPE_MASK == 0
            && matches!(Command::n(message.header.command), Some(Command::Version))
            && message.files.is_empty();
        let agreed = if proposal {
            version::negotiate(message.payload, reply)
        } else {
            Err(Errno::INVAL)
        };
        reply.send(&self.stream, &message.header, agreed)?;
        agreed.map_err(|_| End::Version)
    }

    /// Answers one message.
    fn answer(
        &self,
        session: &mut Session<'_>,
        receiver: &mut Receiver,
        reply: &mut Reply,
    ) -> Result<(), End> {
        let message = receiver.next(&self.stream)?;
        let header = message.header;
        reply.clear();
        let result = session.handle(message, reply);
        if header.flags & NO_REPLY == 0 {
            reply.send(&self.stream, &header, result)?;
        }
        Ok(())
    }

    fn end(&self, end: &End, reply: &mut Reply) -> Result<(), Broken> {
        match end {
            End::Closed => Ok(()),
            End::Version => Err(Broken::Version),
            End::Size(header) => {
                // Whether the client still listens changes nothing.
                let _ = reply.send(&self.stream, header, Err(Errno::MSGSIZE));
                Err(Broken::Size(header.message_size))
            }
            End::Failed(errno) => Err(Broken::Failed(*errno)),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        close::in_order(&self.stream);
    }
}

impl Stop {
    /// Ends the connection: [`Connection::serve`] and [`Connection::refuse`]
    /// return as if the client had left. Harmless where it has ended already.
    pub fn stop(&self) {
        if let Some(stream) = self.stream.upgrade() {
            // It fails where the client has left: there is nothing to do then.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// Why a connection ends.
enum End {
    Closed,
    Version,
    Size(Header),
    Failed(Errno),
}

impl From<Stopped> for End {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Size(header) => Self::Size(header),
            Stopped::Failed(errno) => errno.into(),
            Stopped::Closed => Self::Closed,
        }
    }
}

impl From<Errno> for End {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::PIPE | Errno::CONNRESET => Self::Closed,
            errno => Self::Failed(errno),
        }
    }
}
