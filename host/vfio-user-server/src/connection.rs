//! One client, from its first message to its last.

use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Weak};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use thiserror::Error;

use crate::close;
use crate::closer::Closer;
use crate::command::Session;
use crate::device::Device;
use crate::limits::MESSAGE_LIMIT;
use crate::patience::Patience;
use crate::receive::{Receiver, Stopped};
use crate::reply::{self, Reply};
use crate::version;
use crate::wire::{Command, Header, NO_REPLY, TYPE_MASK};

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

/// A client that has said what it wants, and waits for an answer.
#[derive(Debug)]
pub struct Proposal {
    connection: Connection,
    /// The proposal, and what has come after it.
    receiver: Receiver,
}

/// Why a connection ended other than by the client's closing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Broken {
    /// The client's first message was no proposal of a version, or of one that
    /// is not known here.
    #[error("the client speaks no version of vfio-user that this server knows")]
    Version,
    /// The client sent a message whose header gives it a size that no message
    /// has, in bytes.
    #[error("the client sent a message of {0} bytes, which none can have")]
    Size(u32),
    /// The client left a message, perhaps its first one, unfinished for this
    /// long.
    #[error("the client did not finish a message within {0:?}")]
    Slow(Duration),
    /// The client sent descriptors of other things than memory and eventfds
    /// that cannot be closed, or not as fast, or ever more with one message.
    #[error("the client sent file descriptors that are no memory and cannot be closed")]
    Descriptors,
    /// The connection failed.
    #[error("the connection to the client failed: {0}")]
    Failed(Errno),
}

impl Connection {
    /// A connection over a stream in blocking mode that a client opened.
    #[must_use]
    pub fn new(stream: impl Into<Arc<UnixStream>>) -> Self {
        Self {
            stream: stream.into(),
        }
    }

    /// A handle to end it.
    #[must_use]
    pub fn stop_handle(&self) -> Stop {
        Stop::of(&self.stream)
    }

    /// Waits for the client's first message, by which it proposes a version,
    /// no longer than `limit` in all. None where the client has left.
    ///
    /// # Errors
    ///
    /// If no such message comes.
    pub fn proposal(self, limit: Duration) -> Result<Option<Proposal>, Broken> {
        let mut receiver = Receiver::new();
        match receiver.wait(&self.stream, &Patience::new(limit)) {
            Ok(_) => Ok(Some(Proposal {
                connection: self,
                receiver,
            })),
            Err(stopped) => self.end(&stopped.into(), &mut Reply::new()).map(|()| None),
        }
    }

    /// Answers the client as [`Proposal::serve`] does, with no client beside it.
    ///
    /// # Errors
    ///
    /// As there, and where the client does not begin within [`MESSAGE_LIMIT`].
    pub fn serve(self, device: &mut dyn Device) -> Result<(), Broken> {
        match self.proposal(MESSAGE_LIMIT)? {
            Some(proposal) => proposal.serve(device),
            None => Ok(()),
        }
    }

    /// Agrees on a version.
    fn begin(&self, receiver: &mut Receiver, reply: &mut Reply) -> Result<(), End> {
        let message = receiver.next(&self.stream)?;
        let proposal = message.header.flags & TYPE_MASK == 0
            && Command::of(&message.header) == Some(Command::Version)
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
        closer: &mut Closer,
    ) -> Result<(), End> {
        // What is not closed could be the client's own end, for whose close
        // this would wait for ever.
        while !receiver.has_next()
            && let Some(busy) = closer.busy_for()
        {
            let left = CLOSE_LIMIT.saturating_sub(busy);
            match Patience::new(left).wait(&self.stream, PollFlags::IN) {
                Ok(()) if !left.is_zero() => break,
                Ok(()) | Err(Errno::TIMEDOUT) if left.is_zero() => return Err(End::Descriptors),
                Ok(()) | Err(Errno::TIMEDOUT) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        let mut message = receiver.next(&self.stream)?;
        let header = message.header;
        reply.clear();
        let result = session.handle(&mut message, reply);
        let closed = closer.close(&mut message.files);
        if header.flags & NO_REPLY == 0 {
            reply.send(&self.stream, &header, result)?;
        }
        closed.map_err(|_| End::Descriptors)
    }

    /// Ends the stream, with a last word where one is due. What the client
    /// sent may take long to be closed, after this.
    fn end(&self, end: &End, reply: &mut Reply) -> Result<(), Broken> {
        let ended = self.last_word(end, reply);
        // It fails where the client has left.
        let _ = self.stream.shutdown(Shutdown::Both);
        ended
    }

    fn last_word(&self, end: &End, reply: &mut Reply) -> Result<(), Broken> {
        match end {
            End::Closed => Ok(()),
            End::Slow(limit) => Err(Broken::Slow(*limit)),
            End::Descriptors => Err(Broken::Descriptors),
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

impl Proposal {
    /// Answers the client until it leaves, or [`Stop::stop`] is called.
    ///
    /// Waits for the client alone, and for ever where it has nothing to say.
    /// Once begun, a message costs one receive and one send, and allocates
    /// nothing, but for `DMA_MAP` and descriptors that nobody asked for.
    ///
    /// # Errors
    ///
    /// If the client breaks the protocol so that the stream makes no sense any
    /// more, does not finish a message, or the connection fails. Whatever else
    /// the client asks for gets its error, and the connection goes on.
    pub fn serve(self, device: &mut dyn Device) -> Result<(), Broken> {
        let Self {
            connection,
            mut receiver,
        } = self;
        let mut reply = Reply::new();
        if let Err(end) = connection.begin(&mut receiver, &mut reply) {
            return connection.end(&end, &mut reply);
        }
        let mut closer = Closer::default();
        let mut session = Session::new(device);
        loop {
            let answered = connection.answer(&mut session, &mut receiver, &mut reply, &mut closer);
            if let Err(end) = answered {
                return connection.end(&end, &mut reply);
            }
        }
    }

    /// Turns the client away: its proposal is answered with an error, such as
    /// [`Errno::BUSY`], and it is left `limit` to leave by itself: a client
    /// that finds the end of the stream along with the reply may tell its user
    /// of that instead.
    pub fn refuse(self, errno: Errno, limit: Duration) {
        let Self {
            connection,
            mut receiver,
        } = self;
        let stream = &connection.stream;
        // Whether the client has heard it changes nothing.
        if let Ok(message) = receiver.next(stream)
            && reply::send_error(stream, &message.header, errno).is_ok()
        {
            let _ = Patience::new(limit).wait(stream, PollFlags::empty());
        }
        // Before its descriptors are closed.
        let _ = stream.shutdown(Shutdown::Both);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        close::in_order(&self.stream);
    }
}

impl Stop {
    /// A handle to end any connection over this stream, also one that is yet
    /// to be made, on the thread that is to close what the client has sent.
    #[must_use]
    pub fn of(stream: &Arc<UnixStream>) -> Self {
        Self {
            stream: Arc::downgrade(stream),
        }
    }

    /// Whether the client has closed its side, so that it sends nothing more,
    /// or the connection has ended.
    /// What it sent before may still be worked on.
    #[must_use]
    pub fn client_has_left(&self) -> bool {
        self.stream.upgrade().is_none_or(|stream| {
            let mut fds = [PollFd::new(&*stream, PollFlags::RDHUP)];
            poll(&mut fds, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
        })
    }

    /// Ends the connection: whatever waits for the client returns as if it had
    /// left. Harmless where it has ended already.
    pub fn stop(&self) {
        if let Some(stream) = self.stream.upgrade() {
            // It fails where the client has left: there is nothing to do then.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// How long the close of what a client has sent may take. Nothing that a QEMU
/// has by right takes long.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);

/// Why a connection ends.
enum End {
    Closed,
    Version,
    Slow(Duration),
    Descriptors,
    Size(Header),
    Failed(Errno),
}

impl From<Stopped> for End {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Slow(limit) => Self::Slow(limit),
            Stopped::Size(header) => Self::Size(header),
            Stopped::Descriptors => Self::Descriptors,
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
