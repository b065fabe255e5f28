//! What stands behind BAR0: the registers and the data region.

use vgpu_abi::bar0::{self, DATA, REGISTERS};

/// A register of BAR0, as the host side names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Register {
    /// [`bar0::COMMAND`]
    Command,
    /// [`bar0::STATUS`]
    Status,
    /// [`bar0::DATA_OFFSET`]
    DataOffset,
    /// [`bar0::DATA_LENGTH`]
    DataLength,
    /// [`bar0::REQUEST_ID`]
    RequestId,
}

impl Register {
    /// All registers in the order of their offsets.
    pub const ALL: [Self; 5] = [
        Self::Command,
        Self::Status,
        Self::DataOffset,
        Self::DataLength,
        Self::RequestId,
    ];

    /// Byte offset in BAR0.
    #[must_use]
    pub const fn offset(self) -> u64 {
        match self {
            Self::Command => bar0::COMMAND,
            Self::Status => bar0::STATUS,
            Self::DataOffset => bar0::DATA_OFFSET,
            Self::DataLength => bar0::DATA_LENGTH,
            Self::RequestId => bar0::REQUEST_ID,
        }
    }
}

/// Bytes that are backed by storage: registers and data region. What lies
/// above in BAR0 is reserved.
pub(crate) const STORAGE: usize = DATA.end as usize;

/// The grain of the access table: the size of the register block.
const BLOCK: usize = 0x20;

/// Access sizes that each block of 0x20 bytes takes, as a set: sizes are
/// powers of two, so size 4 is bit 2 of value 4. Registers take 4 alone.
const SIZES: [u8; STORAGE / BLOCK] = {
    let mut sizes = [1 | 2 | 4 | 8; STORAGE / BLOCK];
    let [registers, ..] = &mut sizes;
    *registers = 4;
    sizes
};
const _: () = assert!(REGISTERS.start == 0 && REGISTERS.end as usize == BLOCK);
const _: () = assert!(DATA.start as usize == BLOCK && STORAGE.is_multiple_of(BLOCK));

/// The bits of each register that the guest may change, in the order of
/// [`Register::ALL`]; the reserved registers after those have none, so they
/// read 0.
const GUEST_WRITABLE: [u32; BLOCK / 4] = [
    /* 0x00 Command */ u32::MAX,
    /* 0x04 Status */ 0,
    /* 0x08 Data Offset */ u32::MAX,
    /* 0x0c Data Length */ u32::MAX,
    /* 0x10 Request ID */ u32::MAX,
    0,
    0,
    0,
];

/// How many accesses to BAR0 the device refused since it was built: of a size
/// or alignment that the place does not take, or to the reserved part. Such a
/// read returns 0, such a write changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Refused {
    /// Refused reads.
    pub reads: u64,
    /// Refused writes.
    pub writes: u64,
}

/// Registers and data region, little-endian as the guest sees them.
#[derive(Debug)]
pub(crate) struct Bar0 {
    storage: [u8; STORAGE],
    refused: Refused,
}

impl Bar0 {
    pub(crate) const fn new() -> Self {
        Self {
            storage: [0; STORAGE],
            refused: Refused {
                reads: 0,
                writes: 0,
            },
        }
    }

    /// Power-on state. The counters are the host's and stay.
    pub(crate) fn reset(&mut self) {
        self.storage.fill(0);
    }

    #[inline]
    pub(crate) fn read(&mut self, offset: u64, size: usize) -> u64 {
        let value = place(offset, size).and_then(|at| match size {
            1 => self.storage.get(at).map(|&byte| byte.into()),
            2 => self.load(at).map(|b| u16::from_le_bytes(b).into()),
            4 => self.load(at).map(|b| u32::from_le_bytes(b).into()),
            _ => self.load(at).map(u64::from_le_bytes),
        });
        value.unwrap_or_else(|| {
            self.refused.reads = self.refused.reads.wrapping_add(1);
            0
        })
    }

    #[inline]
    pub(crate) fn write(&mut self, offset: u64, size: usize, value: u64) {
        let Some(at) = place(offset, size) else {
            self.refused.writes = self.refused.writes.wrapping_add(1);
            return;
        };
        let bytes = value.to_le_bytes();
        match GUEST_WRITABLE.get(at / 4) {
            Some(&writable) => {
                let [b0, b1, b2, b3, ..] = bytes;
                let old = self.register_at(at);
                let new = (old & !writable) | (u32::from_le_bytes([b0, b1, b2, b3]) & writable);
                self.store(at, &new.to_le_bytes());
            }
            None => self.store(at, bytes.get(..size).unwrap_or_default()),
        }
    }

    pub(crate) fn register(&self, register: Register) -> u32 {
        self.register_at(register.offset() as usize)
    }

    /// The host's own write, which no access right holds back.
    pub(crate) fn set_register(&mut self, register: Register, value: u32) {
        self.store(register.offset() as usize, &value.to_le_bytes());
    }

    pub(crate) const fn refused(&self) -> Refused {
        self.refused
    }

    pub(crate) const fn storage(&self) -> &[u8; STORAGE] {
        &self.storage
    }

    /// Takes over saved storage; `false`, and nothing changed, if a reserved
    /// register in it is not 0.
    pub(crate) fn restore(&mut self, saved: &[u8; STORAGE]) -> bool {
        const RESERVED: usize = Register::ALL.len() * 4;
        let clear = saved
            .get(RESERVED..BLOCK)
            .is_some_and(|r| r.iter().all(|&b| b == 0));
        if clear {
            self.storage = *saved;
        }
        clear
    }

    fn register_at(&self, at: usize) -> u32 {
        self.load(at).map_or(0, u32::from_le_bytes)
    }

    fn load<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.storage.get(at..)?.first_chunk().copied()
    }

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

/// Where in the storage an access goes; `None` if it is to be refused.
#[inline]
fn place(offset: u64, size: usize) -> Option<usize> {
    let at = usize::try_from(offset).ok()?;
    let sizes = usize::from(*SIZES.get(at / BLOCK)?);
    let accepted = size.is_power_of_two() && sizes & size != 0;
    let aligned = at & size.wrapping_sub(1) == 0;
    (accepted && aligned).then_some(at)
}
