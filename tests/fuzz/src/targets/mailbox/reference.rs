//! BAR0 of a device with features as `docs/features.md` and `abi/` describe it, in other words than the model's.

use vgpu_abi::features::event;
use vgpu_device::{Effects, HostState, Refused, Request, Task};

/// Channels that the device may have.
pub(super) const CHANNELS: u16 = 5;

const DRIVER: usize = 0x418;
const ACK: usize = 0x410;
const STATE: usize = 0x41c;
const GENERATION: usize = 0x420;
const EVENTS: usize = 0x430;
const STATUS: usize = 4;

/// Both features of the default.
const OFFERED: u64 = 0b101;

/// Codes of `abi/src/mailbox.rs`.
const UNKNOWN: u16 = 1;
const PARAMETERS: u16 = 2;
const NOT_READY: u16 = 3;
const HOST: u16 = 11;

/// Bytes of parameters that an answer has room for.
const ROOM: usize = 992 - 16;

pub(super) struct Reference {
    page: [u8; 0x1000],
    /// The host works on a command.
    busy: bool,
    /// Of the last command for the host.
    pub(super) number: u32,
    /// Of the last revocation.
    pub(super) revoked: u32,
    bus_master: bool,
    state: u32,
    generation: u32,
}

impl Reference {
    pub(super) fn new() -> Self {
        let mut reference = Self {
            page: [0; 0x1000],
            busy: false,
            number: 0,
            revoked: 0,
            bus_master: false,
            state: 0,
            generation: 0,
        };
        reference.power_on();
        reference
    }

    fn get(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.page[at..at + 4].try_into().expect("4 bytes"))
    }

    fn set(&mut self, at: usize, value: u32) {
        self.page[at..at + 4].copy_from_slice(&value.to_le_bytes());
    }

    fn long(&self, at: usize) -> u64 {
        u64::from(self.get(at)) | u64::from(self.get(at + 4)) << 32
    }

    fn power_on(&mut self) {
        self.page = [0; 0x1000];
        for (at, value) in [
            (0x400, u32::from_le_bytes(*b"VGPU")),
            (0x404, 0x1_0000),
            (0x408, OFFERED as u32),
            (0x424, 256 << 16 | u32::from(CHANNELS)),
            (0x428, 1024),
            (0x42c, 0xffff),
            // Both vectors are masked.
            (0xc0c, 1),
            (0xc1c, 1),
        ] {
            self.set(at, value);
        }
        self.show();
    }

    fn show(&mut self) {
        self.set(STATE, self.state);
        self.set(GENERATION, self.generation);
    }

    /// Where an access goes, if it is one that the device takes.
    fn place(offset: u64, size: usize) -> Result<usize, Refused> {
        let taken = match offset {
            0x20..0x400 => matches!(size, 1 | 2 | 4 | 8),
            0xc00..0xc20 | 0xe00..0xe08 => matches!(size, 4 | 8),
            0..0x1000 => size == 4,
            _ => false,
        };
        let at = offset as usize;
        match taken && at.is_multiple_of(size) {
            true => Ok(at),
            false => Err(Refused),
        }
    }

    pub(super) fn read(&self, offset: u64, size: usize) -> Result<u64, Refused> {
        let at = Self::place(offset, size)?;
        let bytes = self.page[at..at + size].iter().rev();
        Ok(bytes.fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    pub(super) fn write(
        &mut self,
        offset: u64,
        size: usize,
        value: u64,
    ) -> Result<Effects, Refused> {
        let at = Self::place(offset, size)?;
        if self.busy && at < 0x400 {
            return Err(Refused);
        }
        let driver = self.get(DRIVER);
        let word = value as u32;
        match at {
            0 if driver != 0 => return Ok(self.command(word)),
            ACK | 0x414 if driver >= 2 => return Err(Refused),
            DRIVER => return self.step(driver, word),
            0x434 => self.set(EVENTS, self.get(EVENTS) & !word),
            0x800..0xc00 => {
                let channel = ((at - 0x800) / 4) as u16;
                return match driver == 3 && channel < CHANNELS {
                    true => Ok(Effects {
                        doorbell: Some(channel),
                        ..Effects::default()
                    }),
                    false => Err(Refused),
                };
            }
            // What it may write to.
            0 | 8..0x14 | 0x20..0x400 | ACK | 0x414 | 0xc00..0xc20 => {
                self.page[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
            }
            _ => {}
        }
        Ok(Effects::default())
    }

    fn step(&mut self, from: u32, to: u32) -> Result<Effects, Refused> {
        match (from, to) {
            (_, 0) => return Ok(self.revoke()),
            (0, 1) => self.set(STATUS, 1),
            (1, 2) if self.long(ACK) & !OFFERED != 0 => return Ok(self.revoke()),
            (1, 2) | (2, 3) => {}
            _ => return Err(Refused),
        }
        self.set(DRIVER, to);
        Ok(Effects::default())
    }

    fn command(&mut self, command: u32) -> Effects {
        self.set(0, command);
        let (from, length) = (self.get(8) as usize, self.get(12) as usize);
        if from < 0x20 || from + length > 0x400 {
            return self.answer(Err(PARAMETERS));
        }
        let given = self.page[from..from + length].to_vec();
        let word = |n: usize| u32::from_le_bytes(given[4 * n..4 * n + 4].try_into().expect("4"));
        let long = |n: usize| u64::from(word(n)) | u64::from(word(n + 1)) << 32;
        // By command: bytes of parameters, and whether it takes memory.
        let (size, memory) = match command {
            1 if length <= ROOM => return self.answer(Ok(&given)),
            1 => return self.answer(Err(PARAMETERS)),
            2 | 0x11 => (0, false),
            0x10 => (8, true),
            0x20 | 0x30 => (24, true),
            0x21 | 0x22 => (4, false),
            0x31 => (8, false),
            _ => return self.answer(Err(UNKNOWN)),
        };
        let reserved = match command {
            0x20 if length == 24 => word(4) | word(5),
            0x30 if length == 24 => word(5),
            _ => 0,
        };
        if length != size || reserved != 0 {
            return self.answer(Err(PARAMETERS));
        }
        if command == 2 {
            let places = [0x404, 0x424, 0x408, 0x40c, 0x428, STATE, GENERATION, 0x42c];
            let info: Vec<_> = places
                .iter()
                .map(|at| self.get(*at).to_le_bytes())
                .collect();
            return self.answer(Ok(info.as_flattened()));
        }
        if memory && self.get(ACK) & 1 == 0 {
            return self.answer(Err(UNKNOWN));
        }
        let runs = self.get(DRIVER) == 3 && self.get(STATE) == 1;
        if !runs || memory && !self.bus_master {
            return self.answer(Err(NOT_READY));
        }
        let task = match command {
            0x10 => Task::Start { page: long(0) },
            0x11 => Task::Stop,
            0x20 => Task::Open {
                directory: long(0),
                length: long(2),
            },
            0x21 => Task::Close { channel: word(0) },
            0x22 => Task::Look { channel: word(0) },
            0x30 => Task::Add {
                directory: long(0),
                length: long(2),
                channel: word(4),
            },
            _ => Task::Delete {
                channel: word(0),
                region: word(1),
            },
        };
        self.busy = true;
        self.number = self.number.wrapping_add(1);
        self.set(STATUS, 0);
        Effects {
            request: Some(Request {
                number: self.number,
                task,
            }),
            ..Effects::default()
        }
    }

    fn answer(&mut self, result: Result<&[u8], u16>) -> Effects {
        self.busy = false;
        let status = match result {
            Ok(_) => 3,
            Err(code) => 7 | u32::from(code) << 16,
        };
        let payload = result.unwrap_or_default();
        self.set(STATUS, status);
        for (at, value) in [
            (0x20, self.get(0x10)),
            (0x24, status),
            (0x28, payload.len() as u32),
            (0x2c, 0),
        ] {
            self.set(at, value);
        }
        self.page[0x30..0x30 + payload.len()].copy_from_slice(payload);
        self.raise(event::MAILBOX)
    }

    fn raise(&mut self, events: u32) -> Effects {
        if self.get(DRIVER) == 0 {
            return Effects::default();
        }
        let before = self.get(EVENTS);
        self.set(EVENTS, before | events);
        Effects {
            interrupt: before | events != before,
            ..Effects::default()
        }
    }

    /// All ways to end a driver's part come to this.
    fn revoke(&mut self) -> Effects {
        if self.get(DRIVER) == 0 {
            return Effects::default();
        }
        self.busy = false;
        for at in [DRIVER, ACK, 0x414, EVENTS, STATUS] {
            self.set(at, 0);
        }
        self.give_up()
    }

    fn give_up(&mut self) -> Effects {
        if self.state == 1 {
            self.state = 2;
        }
        self.generation = self.generation.wrapping_add(1);
        self.revoked = self.revoked.wrapping_add(1);
        self.show();
        Effects {
            revoke: Some(self.revoked),
            ..Effects::default()
        }
    }

    pub(super) fn set_bus_master(&mut self, on: bool) -> Effects {
        let changed = self.bus_master != on;
        self.bus_master = on;
        match changed && !on {
            true => self.revoke(),
            false => Effects::default(),
        }
    }

    pub(super) fn reset(&mut self) -> Effects {
        let effects = self.revoke();
        self.bus_master = false;
        self.power_on();
        Effects {
            reset: true,
            ..effects
        }
    }

    pub(super) fn complete(&mut self, number: u32, result: Result<Option<u32>, u16>) -> Effects {
        if !self.busy || number != self.number {
            return Effects::default();
        }
        let value = result.map(|value| value.map(u32::to_le_bytes));
        match &value {
            Ok(Some(bytes)) => self.answer(Ok(bytes)),
            Ok(None) => self.answer(Ok(&[])),
            Err(code) => self.answer(Err(*code)),
        }
    }

    pub(super) fn set_host_state(&mut self, state: HostState, revoked: u32) -> Effects {
        let new = match state {
            HostState::NoDaemon => 0,
            HostState::Ready => 1,
            HostState::Lost => 3,
        };
        // Not ready while it has something to give up.
        if new == self.state || new == 1 && revoked != self.revoked {
            return Effects::default();
        }
        if new == 3 {
            self.generation = self.generation.wrapping_add(1);
        }
        self.state = new;
        self.show();
        self.raise(event::STATE)
    }

    pub(super) fn channel_lost(&mut self) -> Effects {
        self.raise(event::CHANNEL)
    }

    pub(super) fn memory_lost(&mut self) -> Effects {
        let answered = self.busy && self.answer(Err(HOST)).interrupt;
        let raised = self.raise(event::STATE | event::CHANNEL).interrupt;
        Effects {
            interrupt: answered || raised,
            ..self.give_up()
        }
    }

    /// The host's own way to set Status, until a driver is present.
    pub(super) fn set_status(&mut self, status: u32) -> Option<Effects> {
        if self.get(DRIVER) != 0 {
            return None;
        }
        self.set(STATUS, status);
        Some(Effects::default())
    }

    /// What another device makes of the saved state: its numbers begin anew, and a driver finds its channels lost.
    pub(super) fn restore(&mut self) -> Effects {
        let busy = self.busy;
        (self.busy, self.number, self.revoked) = (false, 0, 0);
        // Nothing but registers, data and what features save.
        let keep = [
            0..0x400,
            ACK..0x41c,
            EVENTS..0x434,
            0xc00..0xc20,
            0xe00..0xe08,
        ];
        let before = self.page;
        let generation = self.generation;
        self.state = 0;
        self.power_on();
        for range in keep {
            self.page[range.clone()].copy_from_slice(&before[range]);
        }
        self.generation = generation;
        let mut effects = Effects::default();
        if self.get(DRIVER) != 0 {
            let (state, revoked) = (HostState::Lost, self.revoked);
            // The count goes on from nothing, and is then the saved one, and one more.
            effects = self.set_host_state(state, revoked);
        }
        if busy {
            effects.interrupt |= self.answer(Err(HOST)).interrupt;
        }
        self.show();
        effects
    }
}
