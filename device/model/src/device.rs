//! The PCI function as a whole.

use vgpu_abi::{bar0, ids};
use vgpu_pci::capability::{Express, Msix, PortType};
use vgpu_pci::{Changes, Command, ConfigSpace, Header, MemoryBar, Refused};

use crate::bar0::Bar0;
use crate::capabilities::Capabilities;
use crate::features::Features;
use crate::state::{self, FEATURES_STATE_SIZE, RestoreError, STATE_SIZE, STORAGE_OFFSET};
use crate::{DeviceConfig, Effects, HostState, Register};

/// BAR0's index in the config space.
const BAR0: u8 = bar0::INDEX as u8;

/// Interrupts of a device with features.
const MSIX: Msix = Msix::new(
    bar0::VECTORS,
    bar0::MSIX_TABLE.start as u32,
    bar0::MSIX_PENDING.start as u32,
);

/// A driver is present: Status is the mailbox's alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a driver is present, and Status belongs to its mailbox")]
pub struct MailboxInUse;

/// One virtual GPU.
///
/// Accesses come from one caller at a time; an attachment with several vCPU
/// threads serialises them.
#[derive(Debug)]
pub struct Device {
    config: ConfigSpace<Capabilities>,
    bar0: Bar0,
    bar0_size: u32,
}

impl Device {
    /// A device in its power-on state, at a port of this type; with `None` a
    /// function of conventional PCI, which has no capability.
    #[must_use]
    pub fn new(config: &DeviceConfig, port_type: impl Into<Option<PortType>>) -> Self {
        let header = Header {
            vendor_id: config.vendor_id,
            device_id: config.device_id,
            revision: config.revision,
            class_code: ids::CLASS_CODE,
            subsystem_vendor_id: config.subsystem_vendor_id,
            subsystem_id: config.subsystem_id,
        };
        let bars = [MemoryBar {
            index: BAR0,
            size: config.bar0_size.into(),
        }];
        let capabilities = Capabilities {
            express: port_type.into().map(Express::new),
            msix: config.features.map(|_| MSIX),
        };
        Self {
            config: ConfigSpace::new(&header, &bars, capabilities),
            bar0: Bar0::new(config.features.as_ref()),
            bar0_size: config.bar0_size.bytes(),
        }
    }

    /// A guest's read of config space: fills `data` with the bytes at byte
    /// `offset`, 0 where nothing is implemented. Any length and alignment.
    pub fn config_read(&self, offset: u16, data: &mut [u8]) {
        self.config.read(offset, data);
    }

    /// A guest's write of `data` to config space at byte `offset`. Any length
    /// and alignment; read-only bits keep their values.
    pub fn config_write(&mut self, offset: u16, data: &[u8]) -> Effects {
        let changes = self.config.write(offset, data);
        self.follow(changes)
    }

    /// A guest's read of `size` bytes at byte `offset` of BAR0.
    ///
    /// # Errors
    ///
    /// If the device takes no such access, which reads as 0 then: see [`vgpu_abi::bar0`] for what it takes.
    #[inline]
    pub fn bar0_read(&self, offset: u64, size: usize) -> Result<u64, Refused> {
        self.bar0.read(offset, size)
    }

    /// A guest's write of the low `size` bytes of `value` at byte `offset` of
    /// BAR0.
    ///
    /// # Errors
    ///
    /// If the device takes no such access. Nothing is changed then.
    #[inline]
    pub fn bar0_write(&mut self, offset: u64, size: usize, value: u64) -> Result<Effects, Refused> {
        self.bar0.write(offset, size, value)
    }

    /// Puts the device back to its power-on state, as at a reset of the
    /// machine; all guest-written state is gone, and Status is 0.
    pub fn reset(&mut self) -> Effects {
        self.follow(Changes::FUNCTION_LEVEL_RESET)
    }

    /// The host's read of a register.
    #[must_use]
    pub fn register(&self, register: Register) -> u32 {
        self.bar0.register(register)
    }

    /// The host's write of the Status register, which the guest can only read.
    ///
    /// # Errors
    ///
    /// If a driver is present.
    pub fn set_status(&mut self, status: u32) -> Result<Effects, MailboxInUse> {
        if self.bar0.has_driver() {
            return Err(MailboxInUse);
        }
        self.bar0.set_register(Register::Status, status);
        Ok(Effects::default())
    }

    /// The host's answer to a [request](crate::Request), by its number: done, perhaps with a value, or failed by one of
    /// [`vgpu_abi::mailbox::code`]. Nothing happens where nobody waits for it any more.
    pub fn complete(&mut self, number: u32, result: Result<Option<u32>, u16>) -> Effects {
        self.bar0
            .host(|features, storage| features.complete(storage, number, result))
    }

    /// What the host says of itself, having done the [revocation](Effects::revoke) of this number, 0 where there was none. It
    /// is not taken for ready where there was a later one.
    pub fn set_host_state(&mut self, state: HostState, revoked: u32) -> Effects {
        self.bar0
            .host(|features, storage| features.set_state(storage, state, revoked))
    }

    /// Some of the guest's memory is gone that a channel had.
    pub fn memory_lost(&mut self) -> Effects {
        self.bar0.host(Features::memory_lost)
    }

    /// Tells the guest that a channel has lost its worker.
    pub fn channel_lost(&mut self) -> Effects {
        self.bar0.host(Features::channel_lost)
    }

    /// Whether the guest lets the function answer memory accesses (Command
    /// register, bit 1). An attachment calls the BAR0 methods only then.
    #[must_use]
    pub fn memory_decoded(&self) -> bool {
        self.config.command().contains(Command::MEMORY_SPACE)
    }

    /// Size of BAR0 in bytes.
    #[must_use]
    pub fn bar0_size(&self) -> u32 {
        self.bar0_size
    }

    /// The bits of config space that a guest may change, for the bytes at
    /// `offset`.
    pub fn config_write_mask(&self, offset: u16, data: &mut [u8]) {
        self.config.write_mask(offset, data);
    }

    /// The guest-visible state that every device has, for migration and snapshots.
    #[must_use]
    pub fn save(&self) -> [u8; STATE_SIZE] {
        let features = self.bar0.features.is_some();
        state::encode(&self.config, self.bar0.plain(), self.bar0_size, features)
    }

    /// Bytes of the saved form that say something; always the same.
    #[must_use]
    pub fn state_size(&self) -> usize {
        let features = self
            .bar0
            .features
            .as_ref()
            .map_or(0, |_| FEATURES_STATE_SIZE);
        state::size(&self.config).saturating_add(features)
    }

    /// What follows it in the saved form of a device with features.
    #[must_use]
    pub fn save_features(&self) -> Option<[u8; FEATURES_STATE_SIZE]> {
        self.bar0.save_features().map(state::features)
    }

    /// The part of [`Self::save`] that a guest's write to BAR0 can have changed: where it begins there in bytes, and what it
    /// is now. `None` where the device takes no such access, or it can have changed more.
    #[inline]
    #[must_use]
    pub fn saved_access(&self, offset: u64, size: usize) -> Option<(usize, &[u8])> {
        let (at, bytes) = self.bar0.behind(offset, size)?;
        Some((STORAGE_OFFSET.saturating_add(at), bytes))
    }

    /// Takes over the state of a saved device. The effects say where BAR0 answers and whether the device masters the bus, as
    /// far as that is not what it was.
    ///
    /// # Errors
    ///
    /// If the state is of an unknown version, damaged, or of a device with
    /// another configuration. The device is then as it was.
    pub fn restore(&mut self, state: &[u8]) -> Result<Effects, RestoreError> {
        let saved = state::decode(state)?;
        if saved.bar0_size != self.bar0_size {
            return Err(RestoreError::Bar0Size {
                saved: saved.bar0_size,
                own: self.bar0_size,
            });
        }
        if !Bar0::accepts(&saved.storage) {
            return Err(RestoreError::ReservedRegister);
        }
        self.bar0.accepts_features(saved.features.as_ref())?;
        let changes = self.config.restore(&saved.config, saved.capabilities)?;
        let mut effects = self.follow(changes);
        self.bar0.restore(&saved.storage);
        if let Some(features) = &saved.features {
            let Effects {
                interrupt, revoke, ..
            } = self.bar0.restore_features(features);
            effects.interrupt |= interrupt;
            effects.revoke = effects.revoke.max(revoke);
        }
        Ok(effects)
    }

    /// Does what a change of config space asks of the rest of the device, and says what it asks of the host.
    fn follow(&mut self, changes: Changes) -> Effects {
        let (changes, mut effects) = match changes.function_level_reset {
            true => {
                let effects = self.bar0.reset();
                // What asked for it may have moved or switched something itself.
                (changes.and(self.config.reset()), effects)
            }
            false => (changes, Effects::default()),
        };
        let Changes {
            bar_mapping,
            bus_master,
            function_level_reset,
        } = changes;
        effects.reset = function_level_reset;
        if bar_mapping {
            effects.bar0 = self.config.bar_range(BAR0).into();
        }
        if bus_master {
            let on = self.config.command().contains(Command::BUS_MASTER);
            effects.bus_master = Some(on);
            effects.revoke = effects.revoke.max(self.bar0.set_bus_master(on));
        }
        effects
    }
}
