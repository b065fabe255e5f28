//! What a process does for the clients of its control socket.

use serde::Serialize;
use serde_json::Value;

use crate::protocol::{
    Command, Counters, Error, Greeting, Info, Nothing, Outcome, Registers, Reply, Request,
};

/// The commands, each with its method. They are called between two accesses
/// of a guest and must return at once.
///
/// # Errors
///
/// Each method refuses a `device` that the process does not have:
/// [`Error::no_such_device`].
#[expect(clippy::missing_errors_doc, reason = "they share the section above")]
pub trait Service {
    /// With whom a client talks.
    fn greeting(&self) -> Greeting;

    /// The registers of BAR0.
    fn registers(&self, device: u32) -> Result<Registers, Error>;

    /// Writes the Status register.
    fn set_status(&self, device: u32, value: u32) -> Result<(), Error>;

    /// What was counted.
    fn counters(&self, device: u32) -> Result<Counters, Error>;

    /// Logs the guest's accesses from now on, or no longer.
    fn trace_access(&self, device: u32, on: bool) -> Result<(), Error>;

    /// The device, and how it is doing.
    fn info(&self, device: u32) -> Result<Info, Error>;

    /// Asks the process to end. It has to note that and return, as the reply
    /// is sent after that.
    fn shutdown(&self) -> Result<(), Error>;
}

/// Does what a line asks for.
pub(crate) fn answer(service: &(impl Service + ?Sized), line: &[u8]) -> Reply {
    let (id, result) = match Request::parse(line) {
        Ok(request) => (request.id, execute(service, request.command)),
        Err(invalid) => (invalid.id, Err(invalid.error)),
    };
    let outcome = match result {
        Ok(value) => Outcome::Result(value),
        Err(error) => Outcome::Error(error),
    };
    Reply { id, outcome }
}

fn execute(service: &(impl Service + ?Sized), command: Command) -> Result<Value, Error> {
    match command {
        Command::Registers { device } => to_value(service.registers(device)?),
        Command::SetStatus { device, value } => {
            to_value(nothing(service.set_status(device, value)?))
        }
        Command::Counters { device } => to_value(service.counters(device)?),
        Command::Trace { device, access } => {
            to_value(nothing(service.trace_access(device, access)?))
        }
        Command::Info { device } => to_value(service.info(device)?),
        Command::Shutdown {} => to_value(nothing(service.shutdown()?)),
    }
}

fn nothing((): ()) -> Nothing {
    Nothing {}
}

fn to_value(result: impl Serialize) -> Result<Value, Error> {
    serde_json::to_value(result).map_err(|error| {
        Error::new(
            format!("the result cannot be sent: {error}"),
            "report this, as it is a defect of the server",
        )
    })
}
