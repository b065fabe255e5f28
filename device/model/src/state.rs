//! The saved form of a device: what a snapshot or a migration carries.
//!
//! All numbers are little-endian. Version 1 is what every device has. Where
//! capabilities hold something beside their registers it is version 2: that
//! follows, in sections of which each has its length, so a capability that
//! begins to hold something changes no version. What else changes gets a new
//! number, and a decoder for the old ones; the magic never changes. Version 3
//! is a device with features: theirs follow version 1, before any sections.

use thiserror::Error;
use vgpu_pci::capability::CapabilityList;
use vgpu_pci::{ConfigSpace, RestoreError as ConfigRestoreError, SIZE};
use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::capabilities::Capabilities;
use crate::features::FeaturesState;
use crate::storage::PLAIN_SIZE;

const MAGIC: [u8; 8] = *b"vgpustub";
const VERSION: u32 = 1;
/// The version that capabilities with state make of it.
const VERSION_WITH_CAPABILITIES: u32 = 2;
/// The version of a device with features.
const VERSION_WITH_FEATURES: u32 = 3;
/// The newest that is read and written here.
const NEWEST: u32 = VERSION_WITH_FEATURES;

/// Version 1, byte for byte, and the beginning of version 2.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct V1 {
    magic: [u8; 8],
    version: U32,
    bar0_size: U32,
    config: [U32; SIZE / 4],
    storage: [u8; 0x400],
}

const _: () = assert!(
    PLAIN_SIZE == 0x400,
    "what BAR0 stores beyond version 1 takes a version of its own"
);

/// Size of the part that every device has, in bytes: all of version 1.
const FIXED: usize = size_of::<V1>();

/// Bytes of the saved form that every device has.
pub const STATE_SIZE: usize = FIXED + Capabilities::STATE_SIZE;

/// Bytes that follow them on a device with features.
pub const FEATURES_STATE_SIZE: usize = size_of::<FeaturesState>();

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
        "saved state has version {0}, this software reads version {NEWEST}; use the one that saved it"
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
    Config(ConfigRestoreError),
    /// What capabilities hold is cut short, or no state of theirs.
    #[error("{0}; the state is damaged")]
    Capabilities(ConfigRestoreError),
    /// One of the devices has features, or other ones.
    #[error("the devices differ in features; give both the same")]
    Features,
    /// A register holds a value that it cannot have.
    #[error("a reserved register of the saved device is not 0; the state is damaged")]
    ReservedRegister,
}

impl From<ConfigRestoreError> for RestoreError {
    fn from(error: ConfigRestoreError) -> Self {
        match error {
            ConfigRestoreError::Register { .. } => Self::Config(error),
            ConfigRestoreError::Capability { .. } | ConfigRestoreError::Damaged => {
                Self::Capabilities(error)
            }
        }
    }
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
pub(crate) struct Saved<'a> {
    pub(crate) config: [u32; SIZE / 4],
    pub(crate) storage: [u8; PLAIN_SIZE],
    pub(crate) bar0_size: u32,
    pub(crate) features: Option<FeaturesState>,
    /// What capabilities hold beside their registers, as config space takes it.
    pub(crate) capabilities: &'a [u8],
}

/// How many bytes the saved form of such a device has.
pub(crate) fn size<C: CapabilityList>(config: &ConfigSpace<C>) -> usize {
    FIXED.saturating_add(config.capabilities_size())
}

/// The saved form, and zeros; `N` is at least [`size`].
pub(crate) fn encode<C: CapabilityList, const N: usize>(
    config: &ConfigSpace<C>,
    storage: &[u8; PLAIN_SIZE],
    bar0_size: u32,
    features: bool,
) -> [u8; N] {
    let version = match config.capabilities_size() {
        _ if features => VERSION_WITH_FEATURES,
        0 => VERSION,
        _ => VERSION_WITH_CAPABILITIES,
    };
    let fixed = V1 {
        magic: MAGIC,
        version: version.into(),
        bar0_size: bar0_size.into(),
        config: each(&config.save()),
        storage: *storage,
    };
    let mut state = [0; N];
    let saved = fixed
        .write_to_prefix(&mut state)
        .is_ok_and(|()| config.save_capabilities(state.get_mut(FIXED..).unwrap_or_default()));
    debug_assert!(saved, "the constant says how much it is");
    state
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

/// The saved form of features.
pub(crate) fn features(state: FeaturesState) -> [u8; FEATURES_STATE_SIZE] {
    zerocopy::transmute!(state)
}

/// Reads a saved form, which zeros may follow up to [`STATE_SIZE`].
#[expect(
    clippy::absurd_extreme_comparisons,
    reason = "it is 0 until a capability holds something"
)]
pub(crate) fn decode(bytes: &[u8]) -> Result<Saved<'_>, RestoreError> {
    decode_of(Capabilities::STATE_SIZE > 0, bytes)
}

/// Of devices whose capabilities hold something beside their registers, or not.
fn decode_of(with_capabilities: bool, bytes: &[u8]) -> Result<Saved<'_>, RestoreError> {
    let format = RestoreError::Format(bytes.len());
    let (magic, rest) = <[u8; 8]>::read_from_prefix(bytes).map_err(|_| format)?;
    let (version, _) = U32::read_from_prefix(rest).map_err(|_| format)?;
    if magic != MAGIC {
        return Err(format);
    }
    let version = version.get();
    let known = match version {
        VERSION | VERSION_WITH_FEATURES => true,
        VERSION_WITH_CAPABILITIES => with_capabilities,
        _ => false,
    };
    if !known {
        return Err(RestoreError::Version(version));
    }
    let (fixed, rest) = V1::read_from_prefix(bytes).map_err(|_| format)?;
    let (features, rest) = match version {
        VERSION_WITH_FEATURES => {
            let (features, rest) = FeaturesState::read_from_prefix(rest).map_err(|_| format)?;
            (Some(features), rest)
        }
        _ => (None, rest),
    };
    let padding = rest.len() == Capabilities::STATE_SIZE && rest.iter().all(|byte| *byte == 0);
    if version == VERSION && !rest.is_empty() && !padding {
        return Err(format);
    }
    Ok(Saved {
        config: each(&fixed.config),
        storage: fixed.storage,
        bar0_size: fixed.bar0_size.get(),
        features,
        capabilities: rest,
    })
}

#[cfg(test)]
mod tests {
    use vgpu_pci::capability::{Capability, CapabilityState};
    use vgpu_pci::{Changes, ConfigRegister, DwordWrite, Header, PciId};

    use super::*;

    /// A capability with two bytes of state.
    #[derive(Debug)]
    struct Stateful;

    impl Capability for Stateful {
        fn id(&self) -> u8 {
            0x09
        }
        fn registers(&self) -> Vec<ConfigRegister> {
            vec![ConfigRegister::read_only(0)]
        }
        fn written(&mut self, _: usize, _: DwordWrite) -> Changes {
            Changes::NONE
        }
        fn state(&self) -> Option<&dyn CapabilityState> {
            Some(self)
        }
        fn state_mut(&mut self) -> Option<&mut dyn CapabilityState> {
            Some(self)
        }
    }

    impl CapabilityState for Stateful {
        fn reset(&mut self) {}
        fn size(&self) -> usize {
            2
        }
        fn save(&self, state: &mut [u8]) {
            state.copy_from_slice(&[7, 8]);
        }
        fn accepts(&self, state: &[u8]) -> bool {
            state == [7, 8]
        }
        fn restore(&mut self, _: &[u8]) {}
    }

    impl CapabilityList for Stateful {
        fn iter(&self) -> impl Iterator<Item = &dyn Capability> {
            std::iter::once(self as _)
        }
        fn iter_mut(&mut self) -> impl Iterator<Item = &mut dyn Capability> {
            std::iter::once(self as _)
        }
    }

    #[test]
    fn what_capabilities_hold_follows_version_1_and_makes_it_version_2() {
        let id = PciId::try_from(0x1234).unwrap();
        let header = Header {
            vendor_id: id,
            device_id: id,
            revision: 0,
            class_code: 0,
            subsystem_vendor_id: id,
            subsystem_id: id,
        };
        let config = ConfigSpace::new(&header, &[], Stateful);
        let state: [u8; FIXED + 8] = encode(&config, &[3; PLAIN_SIZE], 4096, false);
        assert_eq!(size(&config), FIXED + 6);
        assert_eq!(state[8..12], [2, 0, 0, 0]);
        assert_eq!(state[FIXED..], [0x40, 0x09, 2, 0, 7, 8, 0, 0]);
        let saved = decode_of(true, &state).unwrap();
        assert_eq!(saved.capabilities, &state[FIXED..]);
        assert_eq!(saved.storage, [3; PLAIN_SIZE]);
        assert_eq!(saved.config, config.save());
        // Who has no such capability says so.
        assert!(matches!(decode(&state), Err(RestoreError::Version(2))));
    }
}
