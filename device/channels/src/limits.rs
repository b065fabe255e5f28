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
    // What a daemon says need not be an errno.
    let is = |errno: Errno| status == errno.raw_os_error().cast_unsigned();
    if is(Errno::NOSPC) || is(Errno::NOMEM) {
        code::LIMIT
    } else {
        code::HOST
    }
}
