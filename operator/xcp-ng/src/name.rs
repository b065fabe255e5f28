//! What XAPI knows the device by.

/// The value of `platform:xenguest`, the plugin's name, and the reason why
/// operations are blocked.
pub(crate) const NAME: &str = "vgpu-stub";
