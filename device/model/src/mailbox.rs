//! The mailbox: what a driver asks for through the guide's registers ([`vgpu_abi::mailbox`]).
//!
//! What the device knows it answers at once. The rest is for the host, which answers later: until then registers and data
//! take no write.

use vgpu_abi::bar0::{
    ABI, DATA, DATA_LENGTH, DATA_OFFSET, FEATURES, GENERATION, LIMITS, PEER, PINNED_MAX,
    REQUEST_ID, STATE, STATUS,
};
use vgpu_abi::features::{SEGMENT_ADDRESS, event};
use vgpu_abi::mailbox::{self, Info, PAYLOAD, Reply, code, status};
use zerocopy::{FromBytes, IntoBytes};

use crate::events::raise;
use crate::storage::Storage;
use crate::{Effects, Request, Task};

/// What a command may need.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Readiness {
    /// The driver runs, and the host is ready.
    pub(crate) running: bool,
    /// The guest lets the device reach its memory.
    pub(crate) bus_master: bool,
    /// The features that the driver accepted.
    pub(crate) accepted: u64,
}

/// What a command is, and who answers it.
enum Command {
    /// The device, with the parameters.
    Echo,
    /// The device, with what it is.
    Info,
    /// The host.
    Task(Task),
}

#[derive(Debug)]
pub(crate) struct Mailbox {
    /// Number of the last command that the host got.
    number: u32,
    busy: bool,
}

impl Mailbox {
    pub(crate) const fn new() -> Self {
        Self {
            number: 0,
            busy: false,
        }
    }

    #[inline]
    pub(crate) const fn is_busy(&self) -> bool {
        self.busy
    }

    /// Nobody waits for the command any more that the host works on.
    pub(crate) const fn abandon(&mut self) {
        self.busy = false;
    }

    /// The Command register was written to, the mailbox being idle.
    pub(crate) fn command(
        &mut self,
        storage: &mut Storage,
        command: u32,
        readiness: Readiness,
    ) -> Effects {
        storage.set(vgpu_abi::bar0::COMMAND, command);
        match parse(storage, command, readiness) {
            Ok(Command::Task(task)) => {
                self.busy = true;
                self.number = self.number.wrapping_add(1);
                storage.set(STATUS, 0);
                Effects {
                    request: Some(Request {
                        number: self.number,
                        task,
                    }),
                    ..Effects::default()
                }
            }
            Ok(Command::Info) => {
                let info = info(storage);
                self.answer(storage, Ok(info.as_bytes()))
            }
            Ok(Command::Echo) => {
                // The answer may lie where the parameters do.
                let mut bytes = [0; PAYLOAD];
                let parameters = parameters(storage).unwrap_or_default();
                let bytes = bytes.get_mut(..parameters.len()).unwrap_or_default();
                bytes.copy_from_slice(parameters);
                self.answer(storage, Ok(bytes))
            }
            Err(code) => self.answer(storage, Err(code)),
        }
    }

    /// The host's answer to the command of this number; nothing where that is not waited for.
    pub(crate) fn complete(
        &mut self,
        storage: &mut Storage,
        number: u32,
        result: Result<Option<u32>, u16>,
    ) -> Effects {
        if !self.busy || self.number != number {
            return Effects::default();
        }
        let bytes = result.map(|value| value.map(u32::to_le_bytes));
        match &bytes {
            Ok(bytes) => self.answer(storage, Ok(bytes.as_ref().map_or(&[], |it| it.as_slice()))),
            Err(code) => self.answer(storage, Err(*code)),
        }
    }

    pub(crate) fn answer(&mut self, storage: &mut Storage, result: Result<&[u8], u16>) -> Effects {
        self.busy = false;
        let done = status::IDLE | status::DONE;
        let status = match result {
            Ok(_) => done,
            Err(code) => done | status::ERROR | u32::from(code) << status::CODE_SHIFT,
        };
        let payload = result.unwrap_or_default();
        let reply = Reply {
            request: storage.get(REQUEST_ID),
            status,
            length: payload.len() as u32, // at most PAYLOAD
            reserved: 0,
        };
        storage.put(DATA.start, reply.as_bytes());
        storage.put(
            DATA.start.saturating_add(size_of::<Reply>() as u64),
            payload,
        );
        storage.set(STATUS, status);
        raise(storage, event::MAILBOX)
    }
}

fn parse(storage: &Storage, command: u32, readiness: Readiness) -> Result<Command, u16> {
    let parameters = parameters(storage).ok_or(code::PARAMETERS)?;
    let task = match command {
        mailbox::ECHO if parameters.len() <= PAYLOAD => return Ok(Command::Echo),
        mailbox::ECHO => return Err(code::PARAMETERS),
        mailbox::INFO => {
            let _: () = read(parameters)?;
            return Ok(Command::Info);
        }
        mailbox::START => {
            let mailbox::Start { page } = read(parameters)?;
            Task::Start { page }
        }
        mailbox::STOP => {
            let _: () = read(parameters)?;
            Task::Stop
        }
        mailbox::CHANNEL_OPEN => {
            let mailbox::Open {
                directory,
                length,
                port: 0,
                reserved: 0,
            } = read(parameters)?
            else {
                return Err(code::PARAMETERS);
            };
            Task::Open { directory, length }
        }
        mailbox::CHANNEL_CLOSE => {
            let mailbox::Channel { channel } = read(parameters)?;
            Task::Close { channel }
        }
        mailbox::CHANNEL_STATE => {
            let mailbox::Channel { channel } = read(parameters)?;
            Task::Look { channel }
        }
        mailbox::REGION_ADD => {
            let mailbox::Add {
                directory,
                length,
                channel,
                reserved: 0,
            } = read(parameters)?
            else {
                return Err(code::PARAMETERS);
            };
            Task::Add {
                channel,
                directory,
                length,
            }
        }
        mailbox::REGION_DELETE => {
            let mailbox::Region { channel, region } = read(parameters)?;
            Task::Delete { channel, region }
        }
        _ => return Err(code::UNKNOWN),
    };
    let takes_memory = matches!(
        task,
        Task::Start { .. } | Task::Open { .. } | Task::Add { .. }
    );
    if takes_memory && readiness.accepted & SEGMENT_ADDRESS == 0 {
        return Err(code::UNKNOWN);
    }
    if !readiness.running || takes_memory && !readiness.bus_master {
        return Err(code::NOT_READY);
    }
    Ok(Command::Task(task))
}

/// The parameters, where Data Offset and Data Length say that they are; `None` where that is not in the data region.
fn parameters(storage: &Storage) -> Option<&[u8]> {
    let offset = u64::from(storage.get(DATA_OFFSET));
    let end = offset.checked_add(storage.get(DATA_LENGTH).into())?;
    let inside = DATA.start <= offset && end <= DATA.end;
    let length = usize::try_from(storage.get(DATA_LENGTH)).ok()?;
    inside.then(|| storage.at(offset)?.get(..length)).flatten()
}

/// Parameters of just this size.
fn read<T: FromBytes>(parameters: &[u8]) -> Result<T, u16> {
    T::read_from_bytes(parameters).map_err(|_| code::PARAMETERS)
}

fn info(storage: &Storage) -> Info {
    Info {
        abi: storage.get(ABI),
        limits: storage.get(LIMITS),
        features: storage.get_long(FEATURES),
        pinned_max: storage.get(PINNED_MAX),
        state: storage.get(STATE),
        generation: storage.get(GENERATION),
        peer: storage.get(PEER),
    }
}
