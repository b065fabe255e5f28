//! How much a guest may share.

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
