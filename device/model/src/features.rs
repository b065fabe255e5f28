//! What a device with features has beside the guide's: the driver's handshake, the host's state, events.
//!
//! Registers lie in BAR0's storage; what is here acts on them. The mailbox is a part of its own.

use vgpu_abi::bar0::{
    ACK, DOORBELLS, DRIVER, EVENTS, FEATURES, GENERATION, LIMITS, MSIX_PENDING, MSIX_TABLE,
    PINNED_MAX, STATE, STATUS,
};
use vgpu_abi::features::{driver, event, state};
use vgpu_abi::mailbox::{code, status};
use vgpu_abi::{bar0, features as offered};
use vgpu_pci::Refused;
use zerocopy::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::Effects;
use crate::events::raise;
use crate::mailbox::{Mailbox, Readiness};
use crate::registers::FeatureRegister;
use crate::storage::Storage;

/// What a device with features offers. Each value is one that it can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FeaturesConfig {
    /// Bits of [`vgpu_abi::features`].
    pub offered: u64,
    /// Channels at a time, 1 to 256.
    pub channels: Limit,
    /// Regions of each, its slice among them, 1 to 256.
    pub regions: Limit,
    /// Guest memory that all regions may have, in MiB.
    pub pinned_max: u32,
}

impl Default for FeaturesConfig {
    fn default() -> Self {
        Self {
            offered: offered::SEGMENT_ADDRESS | offered::MSIX,
            channels: Limit(64),
            regions: Limit(256),
            pinned_max: 1024,
        }
    }
}

/// A number from 1 to 256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(u16);

/// Not from 1 to 256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not from 1 to 256")]
pub struct InvalidLimit(u64);

impl TryFrom<u64> for Limit {
    type Error = InvalidLimit;

    fn try_from(limit: u64) -> Result<Self, InvalidLimit> {
        let valid = u16::try_from(limit).ok();
        let valid = valid.filter(|limit| (1..=bar0::CHANNELS).contains(limit));
        valid.map(Self).ok_or(InvalidLimit(limit))
    }
}

impl From<Limit> for u16 {
    fn from(limit: Limit) -> Self {
        limit.0
    }
}

/// How far the host is, as the guest reads it in STATE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostState {
    /// There is no daemon.
    NoDaemon,
    /// Channels may be opened; nothing of an earlier driver's is held any more.
    Ready,
    /// The daemon is gone, and all channels with it.
    Lost,
}

impl HostState {
    const fn register(self) -> u32 {
        match self {
            Self::NoDaemon => state::NO_DAEMON,
            Self::Ready => state::READY,
            Self::Lost => state::LOST,
        }
    }
}

/// The saved form of features.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct FeaturesState {
    offered: U64,
    ack: U64,
    limits: U32,
    driver: U32,
    generation: U32,
    events: U32,
    /// 1 where the host works on a command.
    busy: U32,
    reserved: U32,
    table: [u8; (MSIX_TABLE.end - MSIX_TABLE.start) as usize],
    pending: [u8; (MSIX_PENDING.end - MSIX_PENDING.start) as usize],
}

#[derive(Debug)]
pub(crate) struct Features {
    config: FeaturesConfig,
    mailbox: Mailbox,
    /// Whether the guest lets the device reach its memory.
    pub(crate) bus_master: bool,
    state: u32,
    generation: u32,
    /// Number of the last [`Effects::revoke`].
    revoked: u32,
}

impl Features {
    pub(crate) const fn new(config: FeaturesConfig) -> Self {
        Self {
            config,
            mailbox: Mailbox::new(),
            bus_master: false,
            state: state::NO_DAEMON,
            generation: 0,
            revoked: 0,
        }
    }

    /// Registers after a reset. What the host says stays as it was.
    pub(crate) fn power_on(&self, storage: &mut Storage) {
        for register in FeatureRegister::ALL {
            storage.set(register.offset(), register.initial());
        }
        let Limit(channels) = self.config.channels;
        let Limit(regions) = self.config.regions;
        storage.put(FEATURES, &self.config.offered.to_le_bytes());
        storage.set(LIMITS, u32::from(regions) << 16 | u32::from(channels));
        storage.set(PINNED_MAX, self.config.pinned_max);
        self.show(storage);
        // Vectors are masked until the guest says otherwise (PCI 3.0 section 6.8.2.9).
        for control in MSIX_TABLE.step_by(16) {
            storage.set(control.saturating_add(12), 1);
        }
    }

    /// Whether the host works on a command of the mailbox.
    #[inline]
    pub(crate) const fn is_busy(&self) -> bool {
        self.mailbox.is_busy()
    }

    /// A doorbell was written to.
    pub(crate) fn ring(&self, storage: &Storage, offset: u64) -> Result<Effects, Refused> {
        let channel = offset.saturating_sub(DOORBELLS.start) / 4;
        let channel = u16::try_from(channel).map_err(|_| Refused)?;
        let running = storage.get(DRIVER) == driver::RUN;
        match running && channel < self.config.channels.0 {
            true => Ok(Effects {
                doorbell: Some(channel),
                ..Effects::default()
            }),
            false => Err(Refused),
        }
    }

    /// A register was written to that acts.
    pub(crate) fn control(
        &mut self,
        storage: &mut Storage,
        offset: u64,
        value: u32,
    ) -> Result<Effects, Refused> {
        let current = storage.get(DRIVER);
        match offset {
            bar0::COMMAND if current == driver::RESET => storage.set(offset, value),
            bar0::COMMAND => {
                let readiness = self.readiness(storage);
                let effects = self.mailbox.command(storage, value, readiness);
                return Ok(effects);
            }
            bar0::ACK | bar0::ACK_HIGH if current < driver::SETTLED => storage.set(offset, value),
            bar0::DRIVER => return self.set_driver(storage, current, value),
            bar0::EVENTS_ACK => {
                let left = storage.get(EVENTS) & !value;
                storage.set(EVENTS, left);
            }
            _ => return Err(Refused),
        }
        Ok(Effects::default())
    }

    fn set_driver(
        &mut self,
        storage: &mut Storage,
        current: u32,
        value: u32,
    ) -> Result<Effects, Refused> {
        let step_up = current.checked_add(1) == Some(value) && value <= driver::RUN;
        let accepted = storage.get_long(ACK) & !self.config.offered == 0;
        match value {
            driver::RESET => return Ok(self.revoke(storage)),
            driver::SETTLED if step_up && !accepted => return Ok(self.revoke(storage)),
            driver::PRESENT if step_up => storage.set(STATUS, status::IDLE),
            _ if step_up => {}
            _ => return Err(Refused),
        }
        storage.set(DRIVER, value);
        Ok(Effects::default())
    }

    fn readiness(&self, storage: &Storage) -> Readiness {
        Readiness {
            running: storage.get(DRIVER) == driver::RUN && storage.get(STATE) == state::READY,
            bus_master: self.bus_master,
            accepted: storage.get_long(ACK),
        }
    }

    /// Ends the driver's part, and with it all use of the guest's memory. Nothing where there is no driver.
    pub(crate) fn revoke(&mut self, storage: &mut Storage) -> Effects {
        if storage.get(DRIVER) == driver::RESET {
            return Effects::default();
        }
        self.mailbox.abandon();
        let effects = self.give_up(storage);
        storage.set(DRIVER, driver::RESET);
        storage.put(ACK, &[0; 8]);
        storage.set(EVENTS, 0);
        storage.set(STATUS, 0);
        effects
    }

    /// Has the host give up all memory of the guest's.
    fn give_up(&mut self, storage: &mut Storage) -> Effects {
        if self.state == state::READY {
            self.state = state::RESETTING;
        }
        self.generation = self.generation.wrapping_add(1);
        self.revoked = self.revoked.wrapping_add(1);
        self.show(storage);
        Effects {
            revoke: Some(self.revoked),
            ..Effects::default()
        }
    }

    /// Shows what the host says.
    fn show(&self, storage: &mut Storage) {
        storage.set(STATE, self.state);
        storage.set(GENERATION, self.generation);
    }

    /// Some of the guest's memory is gone that channels had: all of them are lost.
    pub(crate) fn memory_lost(&mut self, storage: &mut Storage) -> Effects {
        let answered = match self.is_busy() {
            true => self.mailbox.answer(storage, Err(code::HOST)),
            false => Effects::default(),
        };
        let raised = raise(storage, event::STATE | event::CHANNEL);
        Effects {
            interrupt: answered.interrupt || raised.interrupt,
            ..self.give_up(storage)
        }
    }

    /// The host has done, or refused, the command of this number.
    pub(crate) fn complete(
        &mut self,
        storage: &mut Storage,
        number: u32,
        result: Result<Option<u32>, u16>,
    ) -> Effects {
        self.mailbox.complete(storage, number, result)
    }

    /// What the host says of itself. It is not ready where it has something to give up of which it does not know yet.
    pub(crate) fn set_state(
        &mut self,
        storage: &mut Storage,
        new: HostState,
        revoked: u32,
    ) -> Effects {
        let register = new.register();
        let early = new == HostState::Ready && revoked != self.revoked;
        if early || self.state == register {
            return Effects::default();
        }
        if new == HostState::Lost {
            self.generation = self.generation.wrapping_add(1);
        }
        self.state = register;
        self.show(storage);
        raise(storage, event::STATE)
    }

    /// A channel's worker is gone.
    pub(crate) fn channel_lost(&mut self, storage: &mut Storage) -> Effects {
        raise(storage, event::CHANNEL)
    }

    pub(crate) fn save(&self, storage: &Storage) -> FeaturesState {
        let mut saved = FeaturesState {
            offered: self.config.offered.into(),
            ack: storage.get_long(ACK).into(),
            limits: storage.get(LIMITS).into(),
            driver: storage.get(DRIVER).into(),
            generation: self.generation.into(),
            events: storage.get(EVENTS).into(),
            busy: u32::from(self.is_busy()).into(),
            reserved: 0.into(),
            table: [0; _],
            pending: [0; _],
        };
        fill(&mut saved.table, storage.at(MSIX_TABLE.start));
        fill(&mut saved.pending, storage.at(MSIX_PENDING.start));
        saved
    }

    /// Whether a saved state is one that this device can have.
    pub(crate) fn accepts(&self, saved: &FeaturesState) -> bool {
        let Limit(channels) = self.config.channels;
        let Limit(regions) = self.config.regions;
        saved.offered.get() == self.config.offered
            && saved.limits.get() == u32::from(regions) << 16 | u32::from(channels)
            && saved.driver.get() <= driver::RUN
            && (saved.driver.get() < driver::SETTLED || saved.ack.get() & !self.config.offered == 0)
    }

    /// Takes over a state that it accepts, after registers and data. Channels do not travel: the driver finds them lost.
    pub(crate) fn restore(&mut self, storage: &mut Storage, saved: &FeaturesState) -> Effects {
        let effects = self.revoke(storage);
        storage.put(ACK, saved.ack.as_bytes());
        storage.set(DRIVER, saved.driver.get());
        storage.set(EVENTS, saved.events.get());
        storage.put(MSIX_TABLE.start, &saved.table);
        storage.put(MSIX_PENDING.start, &saved.pending);
        self.generation = saved.generation.get();
        let mut after = match saved.driver.get() {
            driver::RESET => Effects::default(),
            _ => {
                self.state = state::NO_DAEMON;
                self.set_state(storage, HostState::Lost, self.revoked)
            }
        };
        if saved.busy.get() != 0 {
            let answered = self.mailbox.answer(storage, Err(code::HOST));
            after.interrupt |= answered.interrupt;
        }
        self.show(storage);
        Effects {
            revoke: effects.revoke,
            ..after
        }
    }
}

fn fill(into: &mut [u8], from: Option<&[u8]>) {
    for (to, from) in into.iter_mut().zip(from.unwrap_or_default()) {
        *to = *from;
    }
}
