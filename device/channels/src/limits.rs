//! How much a guest may share.

use rustix::io::Errno;
use vgpu_abi::mailbox::code;
use vgpu_device::FeaturesConfig;

/// What a device may have.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Channels at a time.
    pub channels: u16,
    /// Regions of each.
    pub regions: u16,
    /// Bytes of all regions.
    pub bytes: u64,
}

impl From<&FeaturesConfig> for Limits {
    fn from(config: &FeaturesConfig) -> Self {
        Self {
            channels: config.channels.into(),
            regions: config.regions.into(),
            bytes: u64::from(config.pinned_max) << 20,
        }
    }
}

/// What a guest is told of a refusal of the daemon's: of a limit, so that it is mended where that is set.
/// All else is the host's affair.
pub(crate) fn refused(status: u32) -> u16 {
    match Errno::from_raw_os_error(status.cast_signed()) {
        Errno::NOSPC | Errno::NOMEM => code::LIMIT,
        _ => code::HOST,
    }
}
