//! The client's side of the socket.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use thiserror::Error as ThisError;
use vgpu_socket::{LineError, LineStream};

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
    lines: LineStream,
    path: PathBuf,
    limit: Duration,
    deadline: Instant,
}

impl Connection {
    fn open(path: &Path, limit: Duration) -> Result<Self, ClientError> {
        let deadline = Instant::now() + limit;
        let lines = LineStream::connect(path, limit).map_err(|error| failed(path, limit, error))?;
        Ok(Self {
            lines,
            path: path.to_owned(),
            limit,
            deadline,
        })
    }

    fn exchange(&mut self, request: &Request) -> Result<Reply, ClientError> {
        self.deadline = Instant::now() + self.limit;
        let mut line = serde_json::to_vec(request).map_err(|_| self.unintelligible())?;
        line.push(b'\n');
        self.lines
            .send(&line)
            .map_err(|error| failed(&self.path, self.limit, error))?;
        let line = self.receive()?;
        serde_json::from_slice(&line).map_err(|_| self.unintelligible())
    }

    /// The next line, without the newline.
    fn receive(&mut self) -> Result<Vec<u8>, ClientError> {
        self.lines
            .receive(self.deadline, LONGEST_REPLY)
            .map_err(|error| failed(&self.path, self.limit, error))
    }

    fn unintelligible(&self) -> ClientError {
        ClientError::Unintelligible {
            path: self.path.clone(),
        }
    }
}

fn failed(path: &Path, limit: Duration, error: LineError) -> ClientError {
    let path = path.to_owned();
    match error {
        LineError::Connect(source) => ClientError::Connect { path, source },
        LineError::TimedOut => ClientError::TimedOut { path, limit },
        LineError::Closed => ClientError::Closed { path },
        LineError::TooLong => ClientError::Unintelligible { path },
    }
}
