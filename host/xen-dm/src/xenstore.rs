//! Xenstore, the database that domains and dom0 share, by its wire protocol
//! (Xen `xen/include/public/io/xs_wire.h`, `docs/misc/xenstore.txt`).

mod channel;
mod error;
mod stream;
mod wire;

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use crate::DomainId;
use channel::Channel;
pub use error::Error;
pub use stream::{Stream, Transport};
use wire::{Header, Kind, LONGEST};

/// Where xenstored listens; the kernel's device serves where it does not.
const SOCKETS: [&str; 2] = ["/run/xenstored/socket", "/var/run/xenstored/socket"];
const DEVICE: &str = "/dev/xen/xenbus";

/// How long xenstored may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Events that may wait while an answer is awaited.
const MAX_EVENTS: usize = 1024;

/// What a domain may do with a node, beside its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// Nothing.
    None,
    /// Read.
    Read,
}

/// A connection to xenstore.
#[derive(Debug)]
pub struct Xenstore<S = Stream> {
    channel: Channel<S>,
    /// How long an answer may take.
    limit: Duration,
    /// That of the last request.
    last_id: u32,
    /// That of the last request that was answered. Those since, but the one that waits, were given up; their answers may
    /// still come.
    answered: u32,
    /// Watch events that came between an answer's question and the answer.
    events: VecDeque<Event>,
}

/// A change below a watched path.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Event {
    /// What changed.
    pub path: String,
    /// The watch's own mark.
    pub token: String,
}

/// A transaction; 0 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transaction(u32);

impl Transaction {
    /// Each request for itself.
    pub const NONE: Self = Self(0);
}

impl Xenstore {
    /// Connects to xenstored.
    ///
    /// # Errors
    ///
    /// Neither its socket nor the kernel's device can be opened.
    pub fn connect() -> io::Result<Self> {
        let mut sockets = SOCKETS.into_iter();
        let socket = sockets.find_map(|path| Stream::connect(path, ANSWER_LIMIT).ok());
        let stream = socket.map_or_else(|| Stream::open(DEVICE), Ok)?;
        Ok(Self::over(stream))
    }
}

impl AsFd for Xenstore {
    /// Readable when a watch has an event.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.channel.stream.as_fd()
    }
}

impl<S: Transport> Xenstore<S> {
    /// A connection over a stream that is open.
    pub fn over(stream: S) -> Self {
        Self {
            channel: Channel::over(stream),
            limit: ANSWER_LIMIT,
            last_id: 0,
            answered: 0,
            events: VecDeque::new(),
        }
    }

    /// Has xenstored take this long to answer at most; 5 s unless something else is said.
    pub fn set_answer_limit(&mut self, limit: Duration) {
        self.limit = limit;
    }

    /// The value of a node.
    ///
    /// # Errors
    ///
    /// See [`enum@Error`]; [`Error::is_absent`] where there is no such node.
    pub fn read(&mut self, transaction: Transaction, path: &str) -> Result<Vec<u8>, Error> {
        self.ask(Kind::Read, transaction, &[path.as_bytes(), b"\0"])
    }

    /// The names of a node's children.
    ///
    /// # Errors
    ///
    /// See [`enum@Error`].
    pub fn directory(
        &mut self,
        transaction: Transaction,
        path: &str,
    ) -> Result<Vec<String>, Error> {
        let names = self.ask(Kind::Directory, transaction, &[path.as_bytes(), b"\0"])?;
        Ok(strings(&names))
    }

    /// Sets the value of a node, which is made where it is missing.
    ///
    /// # Errors
    ///
    /// See [`enum@Error`].
    pub fn write(
        &mut self,
        transaction: Transaction,
        path: &str,
        value: &str,
    ) -> Result<(), Error> {
        let parts = [path.as_bytes(), b"\0", value.as_bytes()];
        self.ask(Kind::Write, transaction, &parts).map(drop)
    }

    /// Makes a node without a value.
    ///
    /// # Errors
    ///
    /// See [`enum@Error`].
    pub fn make(&mut self, transaction: Transaction, path: &str) -> Result<(), Error> {
        let parts = [path.as_bytes(), b"\0"];
        self.ask(Kind::MakeDirectory, transaction, &parts).map(drop)
    }

    /// Removes a node with all below it. A missing one is fine.
    ///
    /// # Errors
    ///
    /// See [`enum@Error`].
    pub fn remove(&mut self, transaction: Transaction, path: &str) -> Result<(), Error> {
        match self.ask(Kind::Remove, transaction, &[path.as_bytes(), b"\0"]) {
            Err(error) if !error.is_absent() => Err(error),
            _ => Ok(()),
        }
    }

    /// Gives a node to `owner`, and `other` this access to it.
    ///
    /// # Errors
    ///
    /// See [`enum@Error`].
    pub fn set_permissions(
        &mut self,
        transaction: Transaction,
        path: &str,
        owner: DomainId,
        other: (DomainId, Access),
    ) -> Result<(), Error> {
        let (domain, access) = other;
        let letter = match access {
            Access::None => 'n',
            Access::Read => 'r',
        };
        // The first entry names the owner, and what all others may do.
        let permissions = format!("n{owner}\0{letter}{domain}\0");
        let parts = [path.as_bytes(), b"\0", permissions.as_bytes()];
        self.ask(Kind::SetPermissions, transaction, &parts)
            .map(drop)
    }

    /// Has [`next_event`](Self::next_event) hear of changes at and below a
    /// path, or of `@releaseDomain`. There is one event at once.
    ///
    /// Over the kernel's device it is Linux that asks xenstored for this, and
    /// waits for its answer without a limit (`drivers/xen/xenbus`).
    ///
    /// # Errors
    ///
    /// See [`enum@Error`].
    pub fn watch(&mut self, path: &str, token: &str) -> Result<(), Error> {
        let parts = [path.as_bytes(), b"\0", token.as_bytes(), b"\0"];
        self.ask(Kind::Watch, Transaction::NONE, &parts).map(drop)
    }

    /// Whether the domain exists, alive or dying.
    ///
    /// # Errors
    ///
    /// See [`enum@Error`].
    pub fn is_introduced(&mut self, domain: DomainId) -> Result<bool, Error> {
        let id = domain.to_string();
        let parts = [id.as_bytes(), b"\0"];
        let answer = self.ask(Kind::IsDomainIntroduced, Transaction::NONE, &parts)?;
        Ok(answer.starts_with(b"T"))
    }

    /// Makes changes that are seen all at once, or not at all; `changes` is
    /// called again where somebody else was in between.
    ///
    /// # Errors
    ///
    /// See [`enum@Error`]. Nothing is changed then.
    pub fn transaction<T>(
        &mut self,
        mut changes: impl FnMut(&mut Self, Transaction) -> Result<T, Error>,
    ) -> Result<T, Error> {
        /// More would mean that others write all the time.
        const ATTEMPTS: usize = 32;
        let mut attempts = 1..ATTEMPTS;
        loop {
            let id = self.ask(Kind::TransactionStart, Transaction::NONE, &[b"\0"])?;
            let id = strings(&id).first().and_then(|id| id.parse().ok());
            let transaction = Transaction(id.ok_or(Error::Protocol)?);
            let done = changes(self, transaction);
            let keep: &[u8] = if done.is_ok() { b"T\0" } else { b"F\0" };
            let ended = self.ask(Kind::TransactionEnd, transaction, &[keep]);
            match (done, ended) {
                (Ok(value), Ok(_)) => return Ok(value),
                (Ok(_), Err(error)) if error.is_conflict() && attempts.next().is_some() => {}
                (Ok(_), Err(error)) | (Err(error), _) => return Err(error),
            }
        }
    }

    /// The next event of a watch. Waits for one as long as `limit`, without end where that is `None`; returns `None` where
    /// none has come then. A part of one that has come is kept for the next call.
    ///
    /// # Errors
    ///
    /// See [`enum@Error`].
    pub fn next_event(&mut self, limit: Option<Duration>) -> Result<Option<Event>, Error> {
        let deadline = limit.and_then(from_now);
        while self.events.is_empty() {
            let Some((header, body)) = self.channel.receive(deadline)? else {
                break;
            };
            match header.kind() {
                Some(Kind::WatchEvent) => self.keep(&body),
                _ if self.is_late(header) => {}
                _ => return Err(Error::Protocol),
            }
        }
        Ok(self.events.pop_front())
    }

    /// Whether an event is there already, so that the stream may stay
    /// unreadable.
    #[must_use]
    pub fn has_event(&self) -> bool {
        !self.events.is_empty()
    }

    /// Sends a request and waits for its answer.
    fn ask(
        &mut self,
        kind: Kind,
        transaction: Transaction,
        parts: &[&[u8]],
    ) -> Result<Vec<u8>, Error> {
        let body = parts.concat();
        if body.len() > LONGEST {
            return Err(Error::TooLong);
        }
        self.last_id = self.last_id.wrapping_add(1);
        let header = Header::new(kind, self.last_id, transaction.0, body.len());
        let message = [&header.to_bytes(), body.as_slice()].concat();
        match self.answer_to(&message)? {
            (Some(Kind::Error), body) => Err(Error::Refused(wire::errno(&body))),
            (Some(answer), body) if answer == kind => Ok(body),
            _ => Err(Error::Protocol),
        }
    }

    /// Sends the message with the last id, and waits for its answer.
    fn answer_to(&mut self, message: &[u8]) -> Result<(Option<Kind>, Vec<u8>), Error> {
        let deadline = from_now(self.limit);
        // One write: the kernel's device takes a request in any pieces, but a
        // process that dies in between would leave half of one.
        self.channel.send(message, deadline)?;
        loop {
            let message = self.channel.receive(deadline)?;
            let (header, body) = message.ok_or(Error::TimedOut)?;
            match header.kind() {
                Some(Kind::WatchEvent) => self.keep(&body),
                answer if header.id() == self.last_id => {
                    self.answered = self.last_id;
                    return Ok((answer, body));
                }
                _ if self.is_late(header) => {}
                _ => return Err(Error::Protocol),
            }
            // Others may come without end.
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Err(Error::TimedOut);
            }
        }
    }

    /// Whether this is the answer to a request that was given up. Answers come in the order of the requests.
    fn is_late(&mut self, header: Header) -> bool {
        let since = |id: u32| id.wrapping_sub(self.answered);
        let is_late = (1..=since(self.last_id)).contains(&since(header.id()));
        if is_late {
            self.answered = header.id();
        }
        is_late
    }

    fn keep(&mut self, body: &[u8]) {
        let mut strings = strings(body).into_iter();
        if let (Some(path), Some(token)) = (strings.next(), strings.next())
            && self.events.len() < MAX_EVENTS
        {
            self.events.push_back(Event { path, token });
        }
    }
}

/// The time that is this far away; `None` where that is none of the system's.
fn from_now(limit: Duration) -> Option<Instant> {
    Instant::now().checked_add(limit)
}

/// Strings that each end with NUL.
fn strings(bytes: &[u8]) -> Vec<String> {
    bytes
        .split(|&byte| byte == 0)
        .filter(|string| !string.is_empty())
        .map(|string| String::from_utf8_lossy(string).into_owned())
        .collect()
}
