//! What a host is, in one message at a session's start: all that programs ask
//! of a device is answered from it.

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

/// The number of device attributes that fit.
const ATTRIBUTES: usize = 256;

/// What the host says of itself and of its device.
#[derive(Clone, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Hello {
    /// The operations that the host knows, by bit.
    pub operations: [u64; 64],
    /// Bytes of device memory.
    pub memory: u64,
    /// The device's UUID, the same at each start.
    pub uuid: [u8; 16],
    /// Its name, up to the first 0.
    pub name: [u8; 128],
    /// Its attributes, by `CUdevice_attribute`.
    pub attributes: [i32; ATTRIBUTES],
}

impl Hello {
    /// What a program knows of a host that it has not greeted yet.
    #[must_use]
    pub fn unknown() -> Self {
        let mut hello = Self::new_zeroed();
        hello.add(crate::generated::message::Hello::OP);
        hello
    }

    /// Says that the host knows an operation.
    pub fn add(&mut self, op: u16) {
        if let Some(word) = self.operations.get_mut(usize::from(op) / 64) {
            *word |= 1 << (op % 64);
        }
    }

    /// Whether the host knows an operation.
    #[inline]
    #[must_use]
    pub fn knows(&self, op: u16) -> bool {
        let word = self.operations.get(usize::from(op) / 64);
        word.is_some_and(|word| word >> (op % 64) & 1 == 1)
    }
}

macro_rules! attributes {
    ($($name:ident = $value:literal),* $(,)?) => {
        impl Attribute {
            $(#[doc = concat!("`CU_DEVICE_ATTRIBUTE_", stringify!($name), "`.")]
            pub const $name: Self = Self($value);)*

            /// Those that have a name here.
            pub const NAMED: &[(&str, Self)] =
                &[$((concat!("CU_DEVICE_ATTRIBUTE_", stringify!($name)), Self::$name)),*];
        }
    };
}

/// A device attribute's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute(pub u32);

attributes! {
    MAX_THREADS_PER_BLOCK = 1,
    MAX_BLOCK_DIM_X = 2,
    MAX_BLOCK_DIM_Y = 3,
    MAX_BLOCK_DIM_Z = 4,
    MAX_GRID_DIM_X = 5,
    MAX_GRID_DIM_Y = 6,
    MAX_GRID_DIM_Z = 7,
    MAX_SHARED_MEMORY_PER_BLOCK = 8,
    TOTAL_CONSTANT_MEMORY = 9,
    WARP_SIZE = 10,
    MAX_PITCH = 11,
    MAX_REGISTERS_PER_BLOCK = 12,
    CLOCK_RATE = 13,
    MULTIPROCESSOR_COUNT = 16,
    COMPUTE_MODE = 20,
    MAX_THREADS_PER_MULTIPROCESSOR = 39,
    UNIFIED_ADDRESSING = 41,
    COMPUTE_CAPABILITY_MAJOR = 75,
    COMPUTE_CAPABILITY_MINOR = 76,
    MAX_SHARED_MEMORY_PER_MULTIPROCESSOR = 81,
    MAX_REGISTERS_PER_MULTIPROCESSOR = 82,
    MANAGED_MEMORY = 83,
    MAX_SHARED_MEMORY_PER_BLOCK_OPTIN = 97,
    HOST_REGISTER_SUPPORTED = 99,
    VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED = 102,
    MAX_BLOCKS_PER_MULTIPROCESSOR = 106,
    MEMORY_POOLS_SUPPORTED = 115,
}
