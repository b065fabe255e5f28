//! What stands behind BAR0: the registers and the data region.

use vgpu_abi::bar0::{self, DATA, REGISTERS};
use vgpu_pci::{Area, AreaKind, Areas, Refused, Written};

use crate::{Doorbell, Effects};

/// The registers of BAR0 in the order of their offsets: name in the code, offset, value at power-on, name for people, what a
/// guest's write does.
/// All lists of them come from here.
macro_rules! registers {
    ($($name:ident: $offset:ident = $initial:literal, $title:literal, $kind:ident;)*) => {
        /// A register of BAR0, as the host side names it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Register {
            $(#[doc = concat!("[`bar0::", stringify!($offset), "`]")] $name,)*
        }

        impl Register {
            /// All registers in the order of their offsets.
            pub const ALL: [Self; [$(bar0::$offset),*].len()] = [$(Self::$name),*];

            /// Byte offset in BAR0.
            #[must_use]
            pub const fn offset(self) -> u64 {
                match self { $(Self::$name => bar0::$offset,)* }
            }

            /// Its name in text, such as `Data Length`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }

            const fn initial(self) -> u32 {
                match self { $(Self::$name => $initial,)* }
            }

            const fn kind(self) -> AreaKind {
                match self { $(Self::$name => AreaKind::$kind,)* }
            }
        }
    };
}

registers! {
    Command: COMMAND = 0, "Command", Storage;
    Status: STATUS = 0, "Status", ReadOnly;
    DataOffset: DATA_OFFSET = 0, "Data Offset", Storage;
    DataLength: DATA_LENGTH = 0, "Data Length", Storage;
    RequestId: REQUEST_ID = 0, "Request ID", Storage;
}

/// All areas, in the order of their offsets and without a gap.
#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
const AREAS: Areas<{ STORAGE / 4 }> = {
    let mut areas = [Area::new(DATA, 1 | 2 | 4 | 8, AreaKind::Storage); Register::ALL.len() + 2];
    let mut index = 0;
    while index < Register::ALL.len() {
        let register = Register::ALL[index];
        let start = register.offset();
        assert!(
            !matches!(register.kind(), AreaKind::Doorbell),
            "no attachment does anything about a doorbell yet"
        );
        areas[index] = Area::new(start..start + 4, 4, register.kind());
        index += 1;
    }
    areas[index] = Area::new(RESERVED..REGISTERS.end, 4, AreaKind::ReadOnly);
    Areas::new(&areas)
};

/// Where the reserved registers begin: they hold 0.
const RESERVED: u64 = REGISTERS.start + 4 * Register::ALL.len() as u64;

/// Bytes that are backed by storage: registers and data region.
pub(crate) const STORAGE: usize = DATA.end as usize;

/// The storage at power-on.
#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
const POWER_ON: [u8; STORAGE] = {
    let mut storage = [0; STORAGE];
    let mut index = 0;
    while index < Register::ALL.len() {
        let register = Register::ALL[index];
        let bytes = register.initial().to_le_bytes();
        let mut byte = 0;
        while byte < bytes.len() {
            storage[register.offset() as usize + byte] = bytes[byte];
            byte += 1;
        }
        index += 1;
    }
    storage
};

/// Registers and data region, little-endian as the guest sees them.
#[derive(Debug)]
pub(crate) struct Bar0 {
    storage: [u8; STORAGE],
}

impl Bar0 {
    /// Power-on state.
    pub(crate) const fn new() -> Self {
        Self { storage: POWER_ON }
    }

    /// Back to it.
    pub(crate) fn reset(&mut self) {
        *self = Self::new();
    }

    #[inline]
    pub(crate) fn read(&self, offset: u64, size: usize) -> Result<u64, Refused> {
        AREAS.read(&self.storage, offset, size)
    }

    #[inline]
    pub(crate) fn write(
        &mut self,
        offset: u64,
        size: usize,
        value: u64,
    ) -> Result<Effects, Refused> {
        Ok(match AREAS.write(&mut self.storage, offset, size, value)? {
            Written::Stored => Effects::default(),
            Written::Doorbell(value) => Effects {
                doorbell: Some(Doorbell { offset, value }),
                ..Effects::default()
            },
        })
    }

    pub(crate) fn register(&self, register: Register) -> u32 {
        let bytes = self.storage.get(register.offset() as usize..);
        bytes
            .and_then(|rest| rest.first_chunk())
            .map_or(0, |bytes| u32::from_le_bytes(*bytes))
    }

    /// The host's own write, which no access right holds back.
    pub(crate) fn set_register(&mut self, register: Register, value: u32) {
        let bytes = self.storage.get_mut(register.offset() as usize..);
        if let Some(bytes) = bytes.and_then(|rest| rest.first_chunk_mut()) {
            *bytes = value.to_le_bytes();
        }
    }

    /// The bytes behind an access, and where they are in the storage.
    #[inline]
    pub(crate) fn behind(&self, offset: u64, size: usize) -> Option<(usize, &[u8])> {
        let (at, _) = AREAS.place(offset, size).ok()?;
        Some((at, self.storage.get(at..)?.get(..size)?))
    }

    pub(crate) const fn storage(&self) -> &[u8; STORAGE] {
        &self.storage
    }

    /// Whether saved storage is one that a device can have: its reserved
    /// registers are 0.
    pub(crate) fn accepts(saved: &[u8; STORAGE]) -> bool {
        saved
            .get(RESERVED as usize..REGISTERS.end as usize)
            .is_some_and(|reserved| reserved.iter().all(|&byte| byte == 0))
    }

    /// Takes over saved storage that it accepts.
    pub(crate) fn restore(&mut self, saved: &[u8; STORAGE]) {
        self.storage = *saved;
    }
}
