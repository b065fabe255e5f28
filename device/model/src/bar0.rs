//! What stands behind BAR0: the registers and the data region.

use thiserror::Error;
use vgpu_abi::bar0::{self, DATA, REGISTERS};

/// The registers of BAR0 in the order of their offsets: name in the code, offset, name for people, what a guest's write does.
/// All lists of them come from here.
macro_rules! registers {
    ($($name:ident: $offset:ident, $title:literal, $kind:ident;)*) => {
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

            const fn kind(self) -> Kind {
                match self { $(Self::$name => Kind::$kind,)* }
            }
        }
    };
}

registers! {
    Command: COMMAND, "Command", Storage;
    Status: STATUS, "Status", ReadOnly;
    DataOffset: DATA_OFFSET, "Data Offset", Storage;
    DataLength: DATA_LENGTH, "Data Length", Storage;
    RequestId: REQUEST_ID, "Request ID", Storage;
}

/// The device takes no access of this size and alignment at this place. Such a read gives 0, such a write changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the device takes no such access there")]
pub struct Refused;

/// What a guest's write does in an area. A read gives what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It stores the value.
    Storage,
    /// It changes nothing.
    ReadOnly,
}

/// A part of BAR0 with rules of its own.
#[derive(Clone, Copy)]
struct Area {
    start: u64,
    end: u64,
    /// The access sizes that it takes, as a set: sizes are powers of two, so size 4 is bit 2 of value 4.
    sizes: u8,
    kind: Kind,
}

const fn area(start: u64, end: u64, sizes: u8, kind: Kind) -> Area {
    Area {
        start,
        end,
        sizes,
        kind,
    }
}

/// All areas, in the order of their offsets and without a gap. What lies above is reserved, and takes no access.
#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
const AREAS: [Area; Register::ALL.len() + 2] = {
    let mut areas =
        [area(DATA.start, DATA.end, 1 | 2 | 4 | 8, Kind::Storage); Register::ALL.len() + 2];
    let mut index = 0;
    while index < Register::ALL.len() {
        let register = Register::ALL[index];
        let start = register.offset();
        areas[index] = area(start, start + 4, 4, register.kind());
        index += 1;
    }
    areas[index] = area(RESERVED, REGISTERS.end, 4, Kind::ReadOnly);
    areas
};

/// Where the reserved registers begin: they hold 0.
const RESERVED: u64 = REGISTERS.start + 4 * Register::ALL.len() as u64;

/// Bytes that are backed by storage: registers and data region.
pub(crate) const STORAGE: usize = DATA.end as usize;

/// What holds for each dword of the storage: [`AREAS`], spread out so that an access finds its area by one look.
#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
const RULES: [(u8, Kind); STORAGE / 4] = {
    let mut rules = [(0, Kind::ReadOnly); STORAGE / 4];
    let mut end = 0;
    let mut index = 0;
    while index < AREAS.len() {
        let Area {
            start, sizes, kind, ..
        } = AREAS[index];
        assert!(start == end, "areas leave no gap");
        end = AREAS[index].end;
        let largest = 1 << sizes.ilog2();
        assert!(
            start % largest == 0 && end % largest == 0,
            "no access crosses areas"
        );
        let mut at = start;
        while at < end {
            rules[at as usize / 4] = (sizes, kind);
            at += 4;
        }
        index += 1;
    }
    assert!(end as usize == STORAGE);
    rules
};

/// Registers and data region, little-endian as the guest sees them.
#[derive(Debug)]
pub(crate) struct Bar0 {
    storage: [u8; STORAGE],
}

impl Bar0 {
    pub(crate) const fn new() -> Self {
        Self {
            storage: [0; STORAGE],
        }
    }

    /// Power-on state.
    pub(crate) fn reset(&mut self) {
        self.storage.fill(0);
    }

    #[inline]
    pub(crate) fn read(&self, offset: u64, size: usize) -> Result<u64, Refused> {
        let (at, _) = place(offset, size)?;
        let value = match size {
            1 => self.storage.get(at).map(|&byte| byte.into()),
            2 => self.load(at).map(|b| u16::from_le_bytes(b).into()),
            4 => self.load(at).map(|b| u32::from_le_bytes(b).into()),
            _ => self.load(at).map(u64::from_le_bytes),
        };
        value.ok_or(Refused)
    }

    #[inline]
    pub(crate) fn write(&mut self, offset: u64, size: usize, value: u64) -> Result<(), Refused> {
        let (at, kind) = place(offset, size)?;
        match kind {
            Kind::Storage => self.store(at, value.to_le_bytes().get(..size).unwrap_or_default()),
            Kind::ReadOnly => {}
        }
        Ok(())
    }

    pub(crate) fn register(&self, register: Register) -> u32 {
        self.load(register.offset() as usize)
            .map_or(0, u32::from_le_bytes)
    }

    /// The host's own write, which no access right holds back.
    pub(crate) fn set_register(&mut self, register: Register, value: u32) {
        self.store(register.offset() as usize, &value.to_le_bytes());
    }

    /// The bytes behind an access, and where they are in the storage.
    #[inline]
    pub(crate) fn behind(&self, offset: u64, size: usize) -> Option<(usize, &[u8])> {
        let (at, _) = place(offset, size).ok()?;
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

    fn load<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.storage.get(at..)?.first_chunk().copied()
    }

    #[inline]
    fn store(&mut self, at: usize, bytes: &[u8]) {
        if let Some(target) = self
            .storage
            .get_mut(at..)
            .and_then(|rest| rest.get_mut(..bytes.len()))
        {
            target.copy_from_slice(bytes);
        }
    }
}

/// Where in the storage an access goes, and what it does there.
#[inline]
fn place(offset: u64, size: usize) -> Result<(usize, Kind), Refused> {
    let at = usize::try_from(offset).map_err(|_| Refused)?;
    let &(sizes, kind) = RULES.get(at / 4).ok_or(Refused)?;
    let accepted = size.is_power_of_two() && usize::from(sizes) & size != 0;
    let aligned = at & size.wrapping_sub(1) == 0;
    (accepted && aligned).then_some((at, kind)).ok_or(Refused)
}
