//! The mailbox as a driver uses it ([`vgpu_abi::mailbox`]).

use std::cell::Cell;
use std::thread;
use std::time::{Duration, Instant};

use thiserror::Error;
use vgpu_abi::bar0::{COMMAND, DATA, DATA_LENGTH, DATA_OFFSET, REQUEST_ID, STATUS};
use vgpu_abi::mailbox::{
    self as abi, Add, Channel, Info, Open, PAYLOAD, Region, Reply, code, status,
};
use vgpu_terminal::Failure;
use zerocopy::{FromBytes, IntoBytes};

use crate::Registers;

/// How long the host may take for a command: to end a worker takes it a second at most.
const PATIENCE: Duration = Duration::from_secs(5);

/// What each command is called.
const COMMANDS: [(u32, &str); 9] = [
    (abi::ECHO, "ECHO"),
    (abi::INFO, "INFO"),
    (abi::START, "START"),
    (abi::STOP, "STOP"),
    (abi::CHANNEL_OPEN, "CHANNEL_OPEN"),
    (abi::CHANNEL_CLOSE, "CHANNEL_CLOSE"),
    (abi::CHANNEL_STATE, "CHANNEL_STATE"),
    (abi::REGION_ADD, "REGION_ADD"),
    (abi::REGION_DELETE, "REGION_DELETE"),
];

/// What each code is called, what it means, and what to do about it.
const CODES: [(u16, &str, &str, &str); 11] = [
    (
        code::UNKNOWN,
        "UNKNOWN",
        "the device knows no such command",
        "use versions of guest and host that belong together",
    ),
    (
        code::PARAMETERS,
        "PARAMETERS",
        "no command has such parameters",
        "use versions of guest and host that belong together",
    ),
    (
        code::NOT_READY,
        "NOT_READY",
        "the device takes no such command now",
        "see on the host whether vgpud runs, and run this again",
    ),
    (
        code::ABSENT,
        "ABSENT",
        "there is no such channel or region any more",
        "see in the host's log why its worker ended",
    ),
    (
        code::LIMIT,
        "LIMIT",
        "it is more than the device may have",
        "take a smaller --region, or let the host allow more memory",
    ),
    (
        code::DIRECTORY,
        "DIRECTORY",
        "the list of the memory is malformed, or changed",
        "run it again, with huge pages free",
    ),
    (
        code::NOT_MEMORY,
        "NOT_MEMORY",
        "a part of the memory is none of the guest's",
        "run it again, with huge pages free",
    ),
    (
        code::OVERLAP,
        "OVERLAP",
        "memory was named twice",
        "run it again, with huge pages free",
    ),
    (
        code::FRAGMENTED,
        "FRAGMENTED",
        "the memory is in too many pieces",
        "free memory for huge pages (nr_hugepages), or take a smaller --region",
    ),
    (
        code::NOT_SHARED,
        "NOT_SHARED",
        "the virtual machine's memory is not shared",
        "start QEMU with memory-backend-memfd,share=on",
    ),
    (
        code::HOST,
        "HOST",
        "the host could not do it",
        "see in the log of vgpud and of the emulator why",
    ),
];

/// Why a command has no answer, or a bad one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// The mailbox still works on another command.
    #[error("the mailbox is busy")]
    Busy,
    /// The device did not answer in time.
    #[error("no answer to {} within {} s", name_of(*.0), PATIENCE.as_secs())]
    Late(u32),
    /// The command failed.
    #[error("{} failed: {} (code {code})", name_of(*.command), meaning(*.code))]
    Refused {
        /// The command.
        command: u32,
        /// One of [`code`].
        code: u16,
    },
    /// It is no answer to that command, or none at all.
    #[error("an answer to {} that makes no sense", name_of(*.0))]
    Malformed(u32),
    /// The device reads all ones.
    #[error("the device does not answer any more")]
    Gone,
    /// The parameters are longer than the data region.
    #[error("parameters that are longer than the data region")]
    TooLong,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let mend = match error {
            Error::Refused { code, .. } => {
                found(code).map_or("update the guest's command", |it| it.3)
            }
            Error::Busy => "run it again, and nothing else that uses the device",
            Error::Late(_) => "see on the host whether the emulator and vgpud hang",
            Error::Gone => {
                "see on the host whether the emulator runs; the machine may have to be started anew"
            }
            Error::Malformed(_) | Error::TooLong => {
                "use versions of guest and host that belong together"
            }
        };
        Self::new(error.to_string(), mend)
    }
}

fn name_of(number: u32) -> &'static str {
    COMMANDS
        .iter()
        .find(|it| it.0 == number)
        .map_or("a command", |it| it.1)
}

fn found(code: u16) -> Option<&'static (u16, &'static str, &'static str, &'static str)> {
    CODES.iter().find(|it| it.0 == code)
}

fn meaning(code: u16) -> &'static str {
    found(code).map_or("for an unknown reason", |it| it.2)
}

/// The name of a code in the ABI.
#[must_use]
pub fn name_of_code(code: u16) -> Option<&'static str> {
    found(code).map(|it| it.1)
}

/// The mailbox of a device, whose DRIVER is not 0.
#[derive(Debug)]
pub struct Mailbox<R> {
    registers: R,
    request: Cell<u32>,
}

impl<R: Registers> Mailbox<R> {
    /// The mailbox of the device with these registers.
    pub const fn new(registers: R) -> Self {
        Self {
            registers,
            request: Cell::new(0),
        }
    }

    /// All registers of the device.
    pub const fn registers(&self) -> &R {
        &self.registers
    }

    /// Has a command done; gives what belongs to the answer.
    ///
    /// # Errors
    /// [`enum@Error`]
    pub fn call(&self, command: u32, parameters: &[u8]) -> Result<Vec<u8>, Error> {
        let request = self.post(command, parameters)?;
        self.answer(command, request)
    }

    /// Gives a command, and its number to wait for.
    ///
    /// # Errors
    /// The mailbox takes none, or not such parameters.
    pub fn post(&self, command: u32, parameters: &[u8]) -> Result<u32, Error> {
        if parameters.len() > (DATA.end - DATA.start) as usize {
            return Err(Error::TooLong);
        }
        match self.registers.read(STATUS) {
            u32::MAX => return Err(Error::Gone),
            now if now & status::IDLE == 0 => return Err(Error::Busy),
            _ => {}
        }
        for (offset, bytes) in (DATA.start..).step_by(4).zip(parameters.chunks(4)) {
            let mut word = [0; 4];
            word[..bytes.len()].copy_from_slice(bytes);
            self.registers.write(offset, u32::from_le_bytes(word));
        }
        let request = self.request.get().wrapping_add(1);
        self.request.set(request);
        self.registers.write(DATA_OFFSET, DATA.start as u32);
        self.registers.write(DATA_LENGTH, parameters.len() as u32);
        self.registers.write(REQUEST_ID, request);
        self.registers.write(COMMAND, command);
        Ok(request)
    }

    /// Waits for the answer to a command that was posted.
    ///
    /// # Errors
    /// [`enum@Error`]
    pub fn answer(&self, command: u32, request: u32) -> Result<Vec<u8>, Error> {
        let end = Instant::now() + PATIENCE;
        let status = loop {
            match self.registers.read(STATUS) {
                u32::MAX => return Err(Error::Gone),
                now if now & status::IDLE != 0 => break now,
                _ if Instant::now() >= end => return Err(Error::Late(command)),
                _ => thread::sleep(Duration::from_micros(50)),
            }
        };
        let mut bytes = [0; size_of::<Reply>()];
        self.read(DATA.start, &mut bytes);
        let reply: Reply = zerocopy::transmute!(bytes);
        let length = reply.length as usize;
        let ours = reply.request == request && reply.status == status && status & status::DONE != 0;
        if !ours || length > PAYLOAD {
            return Err(Error::Malformed(command));
        }
        if status & status::ERROR != 0 {
            let code = (status >> status::CODE_SHIFT) as u16;
            return Err(Error::Refused { command, code });
        }
        let mut payload = vec![0; length];
        self.read(DATA.start + size_of::<Reply>() as u64, &mut payload);
        Ok(payload)
    }

    fn read(&self, from: u64, into: &mut [u8]) {
        for (offset, bytes) in (from..).step_by(4).zip(into.chunks_mut(4)) {
            let word = self.registers.read(offset).to_le_bytes();
            bytes.copy_from_slice(&word[..bytes.len()]);
        }
    }

    /// The same, where the answer is of a certain type.
    fn ask<T: FromBytes>(&self, command: u32, parameters: &[u8]) -> Result<T, Error> {
        let answer = self.call(command, parameters)?;
        T::read_from_bytes(&answer).map_err(|_| Error::Malformed(command))
    }

    /// What the device is.
    ///
    /// # Errors
    /// [`enum@Error`]
    pub fn info(&self) -> Result<Info, Error> {
        self.ask(abi::INFO, &[])
    }

    /// Opens a channel with the memory that the directory there names, of so many bytes; gives its number.
    ///
    /// # Errors
    /// [`enum@Error`]
    pub fn open(&self, directory: u64, length: u64) -> Result<u32, Error> {
        let open = Open {
            directory,
            length,
            ..Open::default()
        };
        self.ask(abi::CHANNEL_OPEN, open.as_bytes())
    }

    /// Closes a channel: its memory is this guest's alone again.
    ///
    /// # Errors
    /// [`enum@Error`]
    pub fn close(&self, channel: u32) -> Result<(), Error> {
        self.ask(abi::CHANNEL_CLOSE, Channel { channel }.as_bytes())
    }

    /// Adds memory to a channel, as [`Mailbox::open`]; gives the region's number.
    ///
    /// # Errors
    /// [`enum@Error`]
    pub fn add(&self, channel: u32, directory: u64, length: u64) -> Result<u32, Error> {
        let add = Add {
            directory,
            length,
            channel,
            reserved: 0,
        };
        self.ask(abi::REGION_ADD, add.as_bytes())
    }

    /// Takes a region away: it is this guest's alone again.
    ///
    /// # Errors
    /// [`enum@Error`]
    pub fn delete(&self, channel: u32, region: u32) -> Result<(), Error> {
        self.ask(abi::REGION_DELETE, Region { channel, region }.as_bytes())
    }
}
