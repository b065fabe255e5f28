//! QEMU's control protocol (QMP): commands, their answers, and events.
//!
//! Written here because the crates for it generate types from the schema of one version of QEMU.

use std::collections::VecDeque;
use std::fmt;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::run_folder::RunFolder;
use crate::stream::Stream;

/// How long QEMU may take to answer a command: it may be busy, and so may the machine.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// A connection on which QEMU takes commands.
#[derive(Debug)]
pub struct Qmp {
    stream: Stream,
    events: VecDeque<Event>,
    folder: RunFolder,
}

/// QEMU's refusal of a command.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct QmpError {
    /// The kind of error, `GenericError` for nearly all.
    pub class: String,
    /// What QEMU says about it.
    #[serde(rename = "desc")]
    pub description: String,
}

impl fmt::Display for QmpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "QEMU says: {}", self.description)
    }
}

impl std::error::Error for QmpError {}

/// One line from QEMU.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(untagged)]
enum Message {
    Event(Event),
    Return {
        #[serde(rename = "return")]
        value: Value,
    },
    Error {
        error: QmpError,
    },
    Greeting {
        #[serde(rename = "QMP")]
        _version: Value,
    },
}

#[derive(Debug, PartialEq, Deserialize)]
struct Event {
    #[serde(rename = "event")]
    name: String,
    #[serde(default)]
    data: Value,
}

impl Message {
    fn parse(line: &str) -> Result<Self> {
        serde_json::from_str(line)
            .with_context(|| format!("QEMU sent what is no QMP message: {line}"))
    }
}

impl Qmp {
    /// Greets the QEMU at the other end of `socket`.
    ///
    /// # Errors
    /// When what is there is no QEMU, or does not answer within a minute.
    pub fn connect(socket: UnixStream, folder: RunFolder) -> Result<Self> {
        let mut qmp = Self {
            stream: Stream::new(socket)?,
            events: VecDeque::new(),
            folder,
        };
        let greeting = qmp.receive(Instant::now() + ANSWER_LIMIT)?;
        ensure!(
            matches!(greeting, Message::Greeting { .. }),
            "QEMU sent no greeting, but {greeting:?}"
        );
        qmp.exchange("qmp_capabilities", Value::Null)?;
        Ok(qmp)
    }

    /// Executes `command` with `arguments`, an object or null, and returns what QEMU returns.
    ///
    /// # Errors
    /// [`QmpError`] when QEMU refuses; another error when it does not answer within a minute.
    pub fn execute(&mut self, command: &str, arguments: Value) -> Result<Value> {
        self.exchange(command, arguments)
            .with_context(|| format!("QMP command {command}"))
            .map_err(|error| {
                if error.is::<QmpError>() {
                    error
                } else {
                    self.folder.explain(&error)
                }
            })
    }

    /// Executes `line`, a command of QEMU's monitor for humans, and returns what it prints.
    ///
    /// # Errors
    /// As [`Self::execute`]; errors of the command itself are part of what it prints.
    pub fn human(&mut self, line: &str) -> Result<String> {
        let text = self.execute("human-monitor-command", json!({ "command-line": line }))?;
        Ok(text.as_str().unwrap_or_default().replace("\r\n", "\n"))
    }

    /// Waits for the event `name`, drops it and those before it, and returns its data (null when it has none).
    ///
    /// # Errors
    /// When the event does not come within `limit`.
    pub fn wait_event(&mut self, name: &str, limit: Duration) -> Result<Value> {
        let deadline = Instant::now() + limit;
        loop {
            while let Some(event) = self.events.pop_front() {
                if event.name == name {
                    return Ok(event.data);
                }
            }
            let message = self
                .receive(deadline)
                .with_context(|| format!("QEMU sent no event {name}"))
                .map_err(|error| self.folder.explain(&error))?;
            match message {
                Message::Event(event) => self.events.push_back(event),
                other => bail!("QEMU answered a command that was not sent: {other:?}"),
            }
        }
    }

    fn exchange(&mut self, command: &str, arguments: Value) -> Result<Value> {
        let mut request = json!({ "execute": command });
        if !arguments.is_null() {
            request["arguments"] = arguments;
        }
        self.stream.write_all(format!("{request}\n").as_bytes())?;
        let deadline = Instant::now() + ANSWER_LIMIT;
        loop {
            match self.receive(deadline)? {
                Message::Return { value } => return Ok(value),
                Message::Error { error } => return Err(error.into()),
                Message::Event(event) => self.events.push_back(event),
                Message::Greeting { .. } => bail!("QEMU greeted twice"),
            }
        }
    }

    fn receive(&mut self, deadline: Instant) -> Result<Message> {
        Message::parse(&self.stream.read_line(deadline)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_message_is_told_apart() {
        let greeting = r#"{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}}, "capabilities": ["oob"]}}"#;
        assert!(matches!(
            Message::parse(greeting).unwrap(),
            Message::Greeting { .. }
        ));

        let empty = Message::parse(r#"{"return": {}}"#).unwrap();
        assert_eq!(empty, Message::Return { value: json!({}) });

        let error = r#"{"error": {"class": "GenericError", "desc": "Device 'x' not found"}}"#;
        let Message::Error { error } = Message::parse(error).unwrap() else {
            panic!("no error")
        };
        assert_eq!(error.to_string(), "QEMU says: Device 'x' not found");

        let event = r#"{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "DEVICE_DELETED", "data": {"device": "d"}}"#;
        let data = json!({ "device": "d" });
        assert_eq!(
            Message::parse(event).unwrap(),
            Message::Event(Event {
                name: "DEVICE_DELETED".into(),
                data
            })
        );
        let bare = Message::parse(r#"{"timestamp": {}, "event": "STOP"}"#).unwrap();
        assert_eq!(
            bare,
            Message::Event(Event {
                name: "STOP".into(),
                data: Value::Null
            })
        );
    }

    #[test]
    fn anything_else_is_refused_and_quoted() {
        for line in ["", "{}", "[1]", "{\"return\"", "hello"] {
            let error = Message::parse(line).unwrap_err().to_string();
            assert!(error.ends_with(&format!(": {line}")), "{error}");
        }
    }
}
