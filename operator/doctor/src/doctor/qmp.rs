//! QEMU's control protocol (QEMU: docs/interop/qmp-spec). Only questions are
//! asked: nothing here changes a machine.

use std::fmt;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::net::sockopt::socket_peercred;
use serde::Deserialize;
use serde_json::{Value, json};
use vgpu_socket::{LineError, LineStream};

/// More than QEMU ever prints.
const LONGEST: usize = 4 << 20;

/// A connection on which QEMU takes commands. QEMU has one at a time.
#[derive(Debug)]
pub(super) struct Qmp {
    lines: LineStream,
    limit: Duration,
}

/// Why QEMU did not answer.
#[derive(Debug)]
pub(super) enum QmpError {
    /// Nobody listens there.
    Connect(io::Error),
    /// Who listens does not answer in time.
    TimedOut,
    /// The connection was closed.
    Closed,
    /// What came is not of this protocol.
    Unintelligible,
    /// QEMU refused a command, and said this.
    Refused(String),
}

impl fmt::Display for QmpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => write!(f, "{error}"),
            Self::TimedOut => f.write_str("no answer in time"),
            Self::Closed => f.write_str("the connection was closed"),
            Self::Unintelligible => f.write_str("what listens there does not speak QMP"),
            Self::Refused(said) => write!(f, "QEMU says: {said}"),
        }
    }
}

impl From<LineError> for QmpError {
    fn from(error: LineError) -> Self {
        match error {
            LineError::Connect(error) => Self::Connect(error),
            LineError::TimedOut => Self::TimedOut,
            LineError::Closed => Self::Closed,
            LineError::TooLong => Self::Unintelligible,
        }
    }
}

/// A line from QEMU; other fields are not asked for.
#[derive(Deserialize)]
struct Message {
    #[serde(rename = "QMP")]
    greeting: Option<Value>,
    #[serde(rename = "return")]
    value: Option<Value>,
    error: Option<Refusal>,
    event: Option<String>,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(rename = "desc")]
    description: String,
}

impl Qmp {
    /// Connects to the socket, and returns the process that listens there,
    /// where the kernel tells, with the connection to it.
    pub(super) fn connect(path: &Path, limit: Duration) -> (Option<u32>, Result<Self, QmpError>) {
        let lines = match LineStream::connect(path, limit) {
            Ok(lines) => lines,
            Err(error) => return (None, Err(error.into())),
        };
        let peer = socket_peercred(&lines).ok();
        let pid = peer.and_then(|peer| u32::try_from(peer.pid.as_raw_nonzero().get()).ok());
        let mut qmp = Self { lines, limit };
        let greeted = qmp.greet();
        (pid, greeted.map(|()| qmp))
    }

    fn greet(&mut self) -> Result<(), QmpError> {
        let message = self.receive(Instant::now() + self.limit)?;
        if message.greeting.is_none() {
            return Err(QmpError::Unintelligible);
        }
        self.ask("qmp_capabilities", Value::Null).map(drop)
    }

    /// Executes a command with arguments, an object or null.
    pub(super) fn ask(&mut self, command: &str, arguments: Value) -> Result<Value, QmpError> {
        let mut request = json!({ "execute": command });
        if !arguments.is_null() {
            request["arguments"] = arguments;
        }
        let deadline = Instant::now() + self.limit;
        self.lines.send(format!("{request}\n").as_bytes())?;
        loop {
            match self.receive(deadline)? {
                Message { event: Some(_), .. } => {}
                Message {
                    value: Some(value), ..
                } => return Ok(value),
                Message {
                    error: Some(error), ..
                } => {
                    return Err(QmpError::Refused(error.description));
                }
                _ => return Err(QmpError::Unintelligible),
            }
        }
    }

    /// Executes a command of the monitor for people.
    pub(super) fn human(&mut self, line: &str) -> Result<String, QmpError> {
        let text = self.ask("human-monitor-command", json!({ "command-line": line }))?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    fn receive(&mut self, deadline: Instant) -> Result<Message, QmpError> {
        let line = self.lines.receive(deadline, LONGEST)?;
        serde_json::from_slice(&line).map_err(|_| QmpError::Unintelligible)
    }
}
