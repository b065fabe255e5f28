//! What goes over the socket, one JSON object a line: the server greets, then
//! answers each [`Request`] with a [`Reply`], in order.
//!
//! Clients ignore fields that they do not know, and take those that are missing
//! for absent: a server may be of an older or a newer release. The server
//! refuses fields that it does not know, so that no argument is lost by a slip
//! of the pen.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error as ThisError;

pub use crate::results::{Counters, Registers};

/// Version of the protocol. Another one means another protocol: fields of
/// this one changed their meaning or went away.
pub const VERSION: u32 = 1;

/// Longest request in bytes, without the newline.
pub const LONGEST_REQUEST: usize = 4096;

/// Longest line from a server in bytes, without the newline.
pub const LONGEST_REPLY: usize = 64 << 10;

/// Clients that a server has at a time, at most.
pub const MAX_CLIENTS: usize = 8;

/// Replies in bytes that a server keeps for a client that does not read them.
/// It closes the connection when there are more.
pub const MAX_UNSENT: usize = 64 << 10;

/// The first line from the server: with whom the client talks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Greeting {
    /// Version of the protocol: [`VERSION`].
    pub protocol: u32,
    /// Version of the program.
    pub version: String,
    /// How the devices get into the VM, such as `vfio-user`.
    pub attachment: String,
    /// Process id.
    pub pid: u32,
    /// How many devices the process emulates; they are numbered from 0.
    pub devices: u32,
}

impl Greeting {
    /// The greeting of this process.
    #[must_use]
    pub fn new(attachment: &str, version: &str, devices: u32) -> Self {
        Self {
            protocol: VERSION,
            version: version.to_owned(),
            attachment: attachment.to_owned(),
            pid: std::process::id(),
            devices,
        }
    }
}

/// The greeting as it is sent.
#[derive(Serialize, Deserialize)]
pub(crate) struct GreetingLine<T = Greeting> {
    #[serde(rename = "vgpu-stub")]
    pub(crate) greeting: T,
}

/// The part of a greeting that every version of the protocol has.
#[derive(Deserialize)]
pub(crate) struct AnyGreeting {
    pub(crate) protocol: u32,
}

/// A client's own mark for a request, which comes back with the reply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "the id is no string, number, true, false or null"
)]
pub enum Id {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number. Integers come back exactly if they fit into 64 bits.
    Number(serde_json::Number),
    /// A string.
    String(String),
}

/// A line from a client.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Request {
    /// The mark of the request, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Id>,
    /// What to do.
    #[serde(flatten)]
    pub command: Command,
}

/// What a client asks for. `device` is the number of a device, 0 if the
/// request does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Command {
    /// Reads the registers of BAR0; the result is [`Registers`].
    Registers {
        /// Which device.
        #[serde(default)]
        device: u32,
    },
    /// Writes the Status register.
    SetStatus {
        /// Which device.
        #[serde(default)]
        device: u32,
        /// The new value.
        value: u32,
    },
    /// Reads what was counted; the result is [`Counters`].
    Counters {
        /// Which device.
        #[serde(default)]
        device: u32,
    },
    /// Switches tracing.
    Trace {
        /// Which device.
        #[serde(default)]
        device: u32,
        /// Whether the guest's accesses are logged.
        access: bool,
    },
    /// Describes the device; the result is [`Info`].
    Info {
        /// Which device.
        #[serde(default)]
        device: u32,
    },
    /// Ends the process.
    Shutdown {},
}

impl Command {
    /// The names of all commands, as requests have them.
    pub const NAMES: [&'static str; 6] = [
        "registers",
        "set-status",
        "counters",
        "trace",
        "info",
        "shutdown",
    ];
}

/// Why a line is no request.
#[derive(Debug, Clone, PartialEq)]
pub struct InvalidRequest {
    /// The mark of the request, as far as it could be read.
    pub id: Option<Id>,
    /// What is wrong.
    pub error: Error,
}

impl Request {
    /// Reads a line, with or without the newline.
    ///
    /// # Errors
    ///
    /// The line is no JSON object, or no request of this protocol.
    pub fn parse(line: &[u8]) -> Result<Self, InvalidRequest> {
        let without_id = |error| InvalidRequest { id: None, error };
        let mut fields: Map<String, Value> = serde_json::from_slice(line).map_err(|error| {
            without_id(Error::new(
                format!("the request is no JSON object: {error}"),
                "send one object a line, such as {\"command\":\"info\"}",
            ))
        })?;
        let id = match fields.remove("id").map(Id::deserialize).transpose() {
            Ok(id) => id,
            Err(error) => {
                return Err(without_id(Error::new(
                    error.to_string(),
                    "mark the request with a plain number, or leave the id out",
                )));
            }
        };
        match parse_command(fields) {
            Ok(command) => Ok(Self { id, command }),
            Err(error) => Err(InvalidRequest { id, error }),
        }
    }
}

fn parse_command(fields: Map<String, Value>) -> Result<Command, Error> {
    let all_commands = || format!("the commands are {}", Command::NAMES.join(", "));
    let name = match fields.get("command") {
        Some(Value::String(name)) => name.clone(),
        Some(_) => return Err(Error::new("the command is no string", all_commands())),
        None => return Err(Error::new("the request has no command", all_commands())),
    };
    if !Command::NAMES.contains(&name.as_str()) {
        return Err(Error::new(
            format!("unknown command {name:?}"),
            all_commands(),
        ));
    }
    Command::deserialize(Value::Object(fields)).map_err(|error| {
        Error::new(
            format!("{name}: {error}"),
            "send the fields of the command alone, each with a value that it takes",
        )
    })
}

/// A line from the server, after the greeting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// The mark of the request, if it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Id>,
    /// How it went.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// How a request went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// What the command returns; an empty object if that is nothing.
    Result(Value),
    /// Why it was refused. Nothing has changed then.
    Error(Error),
}

/// What a server has to say against a request: one line of cause and one line
/// of what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ThisError)]
#[error("{cause}")]
pub struct Error {
    /// What is wrong.
    pub cause: String,
    /// What to do about it.
    pub mend: String,
}

impl Error {
    /// An error of this cause and mend.
    pub fn new(cause: impl Into<String>, mend: impl Into<String>) -> Self {
        Self {
            cause: cause.into(),
            mend: mend.into(),
        }
    }

    /// The error for a device that the process does not have: it has
    /// `devices` of them.
    #[must_use]
    pub fn no_such_device(device: u32, devices: u32) -> Self {
        let mend = match devices {
            0 => "attach a device first".to_owned(),
            1 => "leave the device out: there is one alone, number 0".to_owned(),
            _ => format!("choose a device from 0 to {}", devices - 1),
        };
        Self::new(format!("there is no device {device}"), mend)
    }
}

/// A device, and how it is doing.
///
/// Every server of this version of the protocol sends these. What one tells
/// besides becomes an [`Option`], `None` from a server that does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Info {
    /// Whether a VM has the device now.
    pub connected: bool,
    /// Whether the guest's accesses are logged.
    pub trace_access: bool,
    /// How long the process has run, in whole seconds.
    pub uptime_seconds: u64,
    /// Vendor ID.
    pub vendor_id: u16,
    /// Device ID.
    pub device_id: u16,
    /// Subsystem Vendor ID.
    pub subsystem_vendor_id: u16,
    /// Subsystem ID.
    pub subsystem_id: u16,
    /// Revision ID.
    pub revision: u8,
    /// Size of BAR0 in bytes.
    pub bar0_size: u32,
}

/// The result of commands that return nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Nothing {}
