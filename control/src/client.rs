//! The client's side of the socket.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::io::{Errno, retry_on_intr};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{self, AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use serde::de::DeserializeOwned;
use thiserror::Error as ThisError;

use crate::protocol::{
    AnyGreeting, Command, Counters, Error, Greeting, GreetingLine, Id, Info, LONGEST_REPLY,
    Nothing, Outcome, Registers, Reply, Request, VERSION,
};

/// A time limit that is as good as none, and that no clock overflows with.
const LONGEST_LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

/// A connection to the control socket of a running process.
#[derive(Debug)]
pub struct Client {
    connection: Connection,
    greeting: Greeting,
    last_id: u64,
}

/// Why a server did not do what it was asked for. The text is one line of
/// cause; [`ClientError::mend`] is one line of what to do.
#[derive(Debug, ThisError)]
pub enum ClientError {
    /// Nobody can be reached at the path.
    #[error("cannot connect to {path:?}: {source}")]
    Connect {
        /// The path of the socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The server took too long.
    #[error("the server at {path:?} did not answer within {limit:?}")]
    TimedOut {
        /// The path of the socket.
        path: PathBuf,
        /// How long it had.
        limit: Duration,
    },
    /// The connection ended before the answer came.
    #[error("the server at {path:?} closed the connection")]
    Closed {
        /// The path of the socket.
        path: PathBuf,
    },
    /// The server's protocol is another one.
    #[error(
        "the server at {path:?} speaks version {version} of the control protocol, \
         and this program speaks version {VERSION}"
    )]
    Version {
        /// The path of the socket.
        path: PathBuf,
        /// The version that the server speaks.
        version: u32,
    },
    /// What the server sent is not of this protocol.
    #[error("what listens at {path:?} does not speak the control protocol")]
    Unintelligible {
        /// The path of the socket.
        path: PathBuf,
    },
    /// The server refused the request, or the client as a whole.
    #[error(transparent)]
    Refused(#[from] Error),
}

impl ClientError {
    /// What to do about it, in one line.
    #[must_use]
    pub fn mend(&self) -> &str {
        match self {
            Self::Connect { source, .. } => match source.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                    "see that the server runs, and that this is the path of its control socket"
                }
                io::ErrorKind::PermissionDenied => {
                    "run this as the user that runs the server, or as root"
                }
                _ => "see that this is the path of the server's control socket",
            },
            Self::TimedOut { .. } => {
                "see that the server is not stopped or overloaded, or allow it more time"
            }
            Self::Closed { .. } => "see in the server's log why, then try again",
            Self::Version { .. } => "use the program of the same version as the server",
            Self::Unintelligible { .. } => {
                "give the path of the control socket, not that of another one"
            }
            Self::Refused(error) => &error.mend,
        }
    }
}

impl Client {
    /// Connects to the server at `path`, which has `limit` to take the
    /// connection and to greet, and `limit` again for each request later. A
    /// limit of more than a day is taken as a day.
    ///
    /// # Errors
    ///
    /// No server of this protocol answers there in time, or it has too many
    /// clients.
    pub fn connect(path: &Path, limit: Duration) -> Result<Self, ClientError> {
        let mut connection = Connection::open(path, limit.min(LONGEST_LIMIT))?;
        let line = connection.receive()?;
        if let Ok(any) = serde_json::from_slice::<GreetingLine<AnyGreeting>>(&line) {
            let version = any.greeting.protocol;
            if version != VERSION {
                return Err(ClientError::Version {
                    path: connection.path,
                    version,
                });
            }
        }
        if let Ok(GreetingLine { greeting }) = serde_json::from_slice(&line) {
            return Ok(Self {
                connection,
                greeting,
                last_id: 0,
            });
        }
        match serde_json::from_slice(&line) {
            Ok(Reply {
                outcome: Outcome::Error(error),
                ..
            }) => Err(error.into()),
            _ => Err(connection.unintelligible()),
        }
    }

    /// What the server said of itself.
    #[must_use]
    pub fn greeting(&self) -> &Greeting {
        &self.greeting
    }

    /// Has the server execute a command whose result is a `T`. Any result is
    /// a [`serde_json::Value`] too.
    ///
    /// # Errors
    ///
    /// The server refuses the command, or does not answer as it should.
    pub fn request<T: DeserializeOwned>(&mut self, command: Command) -> Result<T, ClientError> {
        self.last_id += 1;
        let id = Some(Id::Number(self.last_id.into()));
        let reply: Reply = self.connection.exchange(&Request {
            id: id.clone(),
            command,
        })?;
        match reply.outcome {
            Outcome::Error(error) => Err(error.into()),
            Outcome::Result(result) if reply.id == id => {
                serde_json::from_value(result).map_err(|_| self.connection.unintelligible())
            }
            Outcome::Result(_) => Err(self.connection.unintelligible()),
        }
    }

    /// Reads the registers of BAR0.
    ///
    /// # Errors
    ///
    /// As for [`Client::request`].
    pub fn registers(&mut self, device: u32) -> Result<Registers, ClientError> {
        self.request(Command::Registers { device })
    }

    /// Writes the Status register.
    ///
    /// # Errors
    ///
    /// As for [`Client::request`].
    pub fn set_status(&mut self, device: u32, value: u32) -> Result<(), ClientError> {
        let Nothing {} = self.request(Command::SetStatus { device, value })?;
        Ok(())
    }

    /// Reads what was counted.
    ///
    /// # Errors
    ///
    /// As for [`Client::request`].
    pub fn counters(&mut self, device: u32) -> Result<Counters, ClientError> {
        self.request(Command::Counters { device })
    }

    /// Has the guest's accesses logged, or no longer.
    ///
    /// # Errors
    ///
    /// As for [`Client::request`].
    pub fn trace_access(&mut self, device: u32, on: bool) -> Result<(), ClientError> {
        let Nothing {} = self.request(Command::Trace { device, access: on })?;
        Ok(())
    }

    /// Reads what the device is, and how it is doing.
    ///
    /// # Errors
    ///
    /// As for [`Client::request`].
    pub fn info(&mut self, device: u32) -> Result<Info, ClientError> {
        self.request(Command::Info { device })
    }

    /// Ends the process. It has agreed to when this returns, and ends after.
    ///
    /// # Errors
    ///
    /// As for [`Client::request`].
    pub fn shutdown(&mut self) -> Result<(), ClientError> {
        let Nothing {} = self.request(Command::Shutdown {})?;
        Ok(())
    }
}

/// Lines to and from a server, each exchange within the limit.
#[derive(Debug)]
struct Connection {
    stream: UnixStream,
    path: PathBuf,
    limit: Duration,
    deadline: Instant,
    /// What came after the last line.
    input: Vec<u8>,
}

impl Connection {
    fn open(path: &Path, limit: Duration) -> Result<Self, ClientError> {
        let deadline = Instant::now() + limit;
        let refused = |error: Errno| match error {
            // The server does not take the connections that wait already.
            Errno::AGAIN => ClientError::TimedOut {
                path: path.to_owned(),
                limit,
            },
            error => ClientError::Connect {
                path: path.to_owned(),
                source: error.into(),
            },
        };
        let address = SocketAddrUnix::new(path).map_err(refused)?;
        let flags = SocketFlags::CLOEXEC;
        let socket = net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
            .map_err(refused)?;
        set_socket_timeout(&socket, Timeout::Send, Some(limit)).map_err(refused)?;
        retry_on_intr(|| net::connect(&socket, &address)).map_err(refused)?;
        Ok(Self {
            stream: socket.into(),
            path: path.to_owned(),
            limit,
            deadline,
            input: Vec::new(),
        })
    }

    fn exchange(&mut self, request: &Request) -> Result<Reply, ClientError> {
        self.deadline = Instant::now() + self.limit;
        let mut line = serde_json::to_vec(request).map_err(|_| self.unintelligible())?;
        line.push(b'\n');
        self.stream
            .write_all(&line)
            .map_err(|error| self.failed(&error))?;
        let line = self.receive()?;
        serde_json::from_slice(&line).map_err(|_| self.unintelligible())
    }

    /// The next line, without the newline.
    fn receive(&mut self) -> Result<Vec<u8>, ClientError> {
        let mut chunk = [0; 4096];
        loop {
            if let Some(end) = self.input.iter().position(|&byte| byte == b'\n') {
                let rest = self.input.split_off(end + 1);
                let mut line = std::mem::replace(&mut self.input, rest);
                line.pop();
                return Ok(line);
            }
            if self.input.len() > LONGEST_REPLY {
                return Err(self.unintelligible());
            }
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(self.timed_out());
            }
            let received = self
                .stream
                .set_read_timeout(Some(left))
                .and_then(|()| self.stream.read(&mut chunk));
            match received {
                Ok(0) => return Err(self.closed()),
                Ok(length) => self.input.extend(chunk.iter().take(length)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(&error)),
            }
        }
    }

    fn failed(&self, error: &io::Error) -> ClientError {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => self.timed_out(),
            _ => self.closed(),
        }
    }

    fn timed_out(&self) -> ClientError {
        ClientError::TimedOut {
            path: self.path.clone(),
            limit: self.limit,
        }
    }

    fn closed(&self) -> ClientError {
        ClientError::Closed {
            path: self.path.clone(),
        }
    }

    fn unintelligible(&self) -> ClientError {
        ClientError::Unintelligible {
            path: self.path.clone(),
        }
    }
}
