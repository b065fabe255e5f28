//! What stands behind BAR0: registers and data region, and on a device with features the feature block, doorbells and the
//! table of interrupts.

use vgpu_abi::bar0::{self, DATA, DOORBELLS, FEATURE_BLOCK, MSIX_PENDING, MSIX_TABLE, REGISTERS};
use vgpu_abi::features::driver;
use vgpu_pci::{Area, AreaKind, Areas, Refused, Rule, Written};

use crate::features::{Features, FeaturesState};
use crate::registers::{FeatureRegister, Register};
use crate::storage::{PLAIN_SIZE, Storage};
use crate::{Effects, FeaturesConfig, RestoreError};

/// Where the reserved registers of each block begin: they hold 0.
const RESERVED: u64 = REGISTERS.start + 4 * Register::ALL.len() as u64;
const RESERVED_FEATURES: u64 = FEATURE_BLOCK.start + 4 * FeatureRegister::ALL.len() as u64;

/// Bytes of all that one with features has.
const PAGE: usize = bar0::END as usize;

const DATA_AREA: Area = Area::new(DATA, 1 | 2 | 4 | 8, AreaKind::Storage);

/// The areas of a device without features.
static PLAIN: Areas<[Rule; PLAIN_SIZE / 4]> = {
    let mut areas = [DATA_AREA; Register::ALL.len() + 2];
    registers(&mut areas, false);
    Areas::<[Rule; PLAIN_SIZE / 4]>::new(&areas)
};

/// The areas of one with features.
#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
static FEATURED: Areas<[Rule; PAGE / 4]> = {
    const PLAIN: usize = Register::ALL.len() + 2;
    const FEATURES: usize = FeatureRegister::ALL.len();
    const REST: [Area; 6] = [
        Area::new(RESERVED_FEATURES..FEATURE_BLOCK.end, 4, AreaKind::ReadOnly),
        Area::new(DOORBELLS, 4, AreaKind::Doorbell),
        Area::new(MSIX_TABLE, 4 | 8, AreaKind::Storage),
        Area::new(MSIX_TABLE.end..MSIX_PENDING.start, 4, AreaKind::ReadOnly),
        Area::new(MSIX_PENDING, 4 | 8, AreaKind::ReadOnly),
        Area::new(MSIX_PENDING.end..bar0::END, 4, AreaKind::ReadOnly),
    ];
    let mut areas = [DATA_AREA; PLAIN + FEATURES + REST.len()];
    registers(&mut areas, true);
    let mut index = 0;
    while index < FEATURES {
        let register = FeatureRegister::ALL[index];
        areas[PLAIN + index] = area(register.offset(), register.kind());
        index += 1;
    }
    index = 0;
    while index < REST.len() {
        areas[PLAIN + FEATURES + index] = REST[index];
        index += 1;
    }
    Areas::<[Rule; PAGE / 4]>::new(&areas)
};

/// Puts the guide's registers at the beginning of `areas`. With features a write of the Command register is one to the mailbox.
#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "the compiler evaluates it"
)]
const fn registers(areas: &mut [Area], features: bool) {
    let mut index = 0;
    while index < Register::ALL.len() {
        let register = Register::ALL[index];
        let kind = match register {
            Register::Command if features => AreaKind::Control,
            _ => register.kind(),
        };
        areas[index] = area(register.offset(), kind);
        index += 1;
    }
    areas[index] = Area::new(RESERVED..REGISTERS.end, 4, AreaKind::ReadOnly);
}

#[expect(clippy::arithmetic_side_effects, reason = "the compiler evaluates it")]
const fn area(start: u64, kind: AreaKind) -> Area {
    Area::new(start..start + 4, 4, kind)
}

/// Registers, data and what else there is, little-endian as the guest sees them.
#[derive(Debug)]
pub(crate) struct Bar0 {
    areas: &'static Areas,
    storage: Storage,
    pub(crate) features: Option<Features>,
}

impl Bar0 {
    /// Power-on state.
    pub(crate) fn new(features: Option<&FeaturesConfig>) -> Self {
        let features = features.copied().map(Features::new);
        let mut bar0 = Self {
            areas: match features {
                Some(_) => &FEATURED,
                None => &PLAIN,
            },
            storage: Storage::default(),
            features,
        };
        bar0.power_on();
        bar0
    }

    fn power_on(&mut self) {
        self.storage = Storage::default();
        for register in Register::ALL {
            self.storage.set(register.offset(), register.initial());
        }
        if let Some(features) = &self.features {
            features.power_on(&mut self.storage);
        }
    }

    /// Back to it, but for what the host says: STATE and GENERATION.
    pub(crate) fn reset(&mut self) -> Effects {
        let effects = self.revoke();
        self.power_on();
        effects
    }

    /// Ends all use of the guest's memory, where a driver is there.
    pub(crate) fn revoke(&mut self) -> Effects {
        match &mut self.features {
            Some(features) => features.revoke(&mut self.storage),
            None => Effects::default(),
        }
    }

    /// Whether a driver is present.
    pub(crate) fn has_driver(&self) -> bool {
        self.features.is_some() && self.storage.get(bar0::DRIVER) != driver::RESET
    }

    /// The guest lets the device reach its memory, or no longer: all of it is to be given up then.
    pub(crate) fn set_bus_master(&mut self, on: bool) -> Option<u32> {
        if let Some(features) = &mut self.features {
            features.bus_master = on;
        }
        match on {
            true => None,
            false => self.revoke().revoke,
        }
    }

    #[inline]
    pub(crate) fn read(&self, offset: u64, size: usize) -> Result<u64, Refused> {
        self.areas.read(self.storage.bytes(), offset, size)
    }

    #[inline]
    pub(crate) fn write(
        &mut self,
        offset: u64,
        size: usize,
        value: u64,
    ) -> Result<Effects, Refused> {
        if let Some(features) = &self.features
            && features.is_busy()
            && offset < DATA.end
        {
            return Err(Refused);
        }
        match self
            .areas
            .write(self.storage.bytes_mut(), offset, size, value)?
        {
            Written::Stored => Ok(Effects::default()),
            message => self.act(offset, message),
        }
    }

    /// Does what a write asks for that stores nothing by itself. It stands apart from those that do: nearly all.
    #[inline(never)]
    fn act(&mut self, offset: u64, message: Written) -> Result<Effects, Refused> {
        // A device without features has neither.
        let features = self.features.as_mut().ok_or(Refused)?;
        match message {
            Written::Stored => Ok(Effects::default()),
            Written::Doorbell(_) => features.ring(&self.storage, offset),
            // They are 4 bytes.
            Written::Control(value) => features.control(&mut self.storage, offset, value as u32),
        }
    }

    /// Has the features act on what the host says.
    pub(crate) fn host(
        &mut self,
        act: impl FnOnce(&mut Features, &mut Storage) -> Effects,
    ) -> Effects {
        match &mut self.features {
            Some(features) => act(features, &mut self.storage),
            None => Effects::default(),
        }
    }

    pub(crate) fn register(&self, register: Register) -> u32 {
        self.storage.get(register.offset())
    }

    /// The host's own write, which no access right holds back.
    pub(crate) fn set_register(&mut self, register: Register, value: u32) {
        self.storage.set(register.offset(), value);
    }

    /// The bytes of registers and data behind an access, and where they are there; of other accesses `None`.
    #[inline]
    pub(crate) fn behind(&self, offset: u64, size: usize) -> Option<(usize, &[u8])> {
        let (at, kind) = self.areas.place(offset, size).ok()?;
        let alone = !matches!(kind, AreaKind::Control | AreaKind::Doorbell);
        Some((at, self.plain().get(at..)?.get(..size)?)).filter(|_| alone)
    }

    /// Registers and data.
    pub(crate) fn plain(&self) -> &[u8; PLAIN_SIZE] {
        self.storage.plain()
    }

    /// Whether saved registers and data are such as a device can have: the reserved registers are 0.
    pub(crate) fn accepts(saved: &[u8; PLAIN_SIZE]) -> bool {
        saved
            .get(RESERVED as usize..REGISTERS.end as usize)
            .is_some_and(|reserved| reserved.iter().all(|&byte| byte == 0))
    }

    /// Takes over saved registers and data that it accepts.
    pub(crate) fn restore(&mut self, saved: &[u8; PLAIN_SIZE]) {
        *self.storage.plain_mut() = *saved;
    }

    /// The saved form of the features, where there are some.
    pub(crate) fn save_features(&self) -> Option<FeaturesState> {
        self.features.as_ref().map(|it| it.save(&self.storage))
    }

    /// Whether a saved form, or that there is none, is one that this device can have.
    pub(crate) fn accepts_features(
        &self,
        saved: Option<&FeaturesState>,
    ) -> Result<(), RestoreError> {
        let accepted = match (&self.features, saved) {
            (None, None) => true,
            (Some(features), Some(saved)) => features.accepts(saved),
            _ => false,
        };
        accepted.then_some(()).ok_or(RestoreError::Features)
    }

    /// Takes it over.
    pub(crate) fn restore_features(&mut self, saved: &FeaturesState) -> Effects {
        self.host(|features, storage| features.restore(storage, saved))
    }
}
