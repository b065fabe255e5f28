//! The saved form of a device: what a snapshot or a migration carries.
//!
//! All numbers are little-endian. A new version gets a new number and a
//! decoder for the old one; the magic never changes.

use thiserror::Error;
use vgpu_pci::{RestoreError as ConfigRestoreError, SIZE};
use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::bar0::STORAGE;

const MAGIC: [u8; 8] = *b"vgpustub";
const VERSION: u32 = 1;

/// Version 1, byte for byte.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct V1 {
    magic: [u8; 8],
    version: U32,
    bar0_size: U32,
    config: [U32; SIZE / 4],
    storage: [u8; STORAGE],
}

/// Size of the saved form, in bytes.
pub const STATE_SIZE: usize = size_of::<V1>();

/// Where the storage of BAR0 begins in it.
pub(crate) const STORAGE_OFFSET: usize = std::mem::offset_of!(V1, storage);

/// A saved state that this device cannot take over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RestoreError {
    /// Not the saved form of a vgpu-stub device, or cut short.
    #[error("no saved state of a vgpu-stub device ({0} bytes); it is damaged or another device's")]
    Format(usize),
    /// Saved by a later version of this software.
    #[error(
        "saved state has version {0}, this software reads version 1; use the one that saved it"
    )]
    Version(u32),
    /// The devices differ in BAR0's size.
    #[error("saved device has a BAR0 of {saved} bytes, this one {own}; give both the same size")]
    Bar0Size {
        /// The saved device's size in bytes.
        saved: u32,
        /// This device's size in bytes.
        own: u32,
    },
    /// The devices differ in identity or capabilities.
    #[error("{0}; give both devices the same configuration")]
    Config(#[from] ConfigRestoreError),
    /// A register holds a value that it cannot have.
    #[error("a reserved register of the saved device is not 0; the state is damaged")]
    ReservedRegister,
}

/// The config space of a saved device: what its guest reads there.
///
/// # Errors
///
/// The bytes are not the saved form of a device, or of a later version.
pub fn saved_config(bytes: &[u8]) -> Result<[u32; SIZE / 4], RestoreError> {
    decode(bytes).map(|saved| saved.config)
}

/// What a saved state says, whatever its version was.
pub(crate) struct Saved {
    pub(crate) config: [u32; SIZE / 4],
    pub(crate) storage: [u8; STORAGE],
    pub(crate) bar0_size: u32,
}

pub(crate) fn encode(
    config: &[u32; SIZE / 4],
    storage: &[u8; STORAGE],
    bar0_size: u32,
) -> [u8; STATE_SIZE] {
    zerocopy::transmute!(V1 {
        magic: MAGIC,
        version: VERSION.into(),
        bar0_size: bar0_size.into(),
        config: each(config),
        storage: *storage,
    })
}

/// All converted. A plain loop, as `map` on a long array is slow wherever it is
/// not optimized away, such as under a fuzzer.
fn each<T: Copy, U: Copy + Default + From<T>>(from: &[T; SIZE / 4]) -> [U; SIZE / 4] {
    let mut into = [U::default(); SIZE / 4];
    for (into, from) in into.iter_mut().zip(from) {
        *into = (*from).into();
    }
    into
}

pub(crate) fn decode(bytes: &[u8]) -> Result<Saved, RestoreError> {
    let format = RestoreError::Format(bytes.len());
    let (magic, rest) = <[u8; 8]>::read_from_prefix(bytes).map_err(|_| format)?;
    let (version, _) = U32::read_from_prefix(rest).map_err(|_| format)?;
    if magic != MAGIC {
        return Err(format);
    }
    if version != VERSION {
        return Err(RestoreError::Version(version.get()));
    }
    let v1 = V1::read_from_bytes(bytes).map_err(|_| format)?;
    Ok(Saved {
        config: each(&v1.config),
        storage: v1.storage,
        bar0_size: v1.bar0_size.get(),
    })
}
