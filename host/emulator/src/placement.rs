//! Which slot each of a guest's devices has, of what a user chose.

use vgpu_terminal::Failure;
use vgpu_xen::PlacedDevice;

use crate::DeviceProperties;

/// The devices, each in a slot, as [`PlacedDevice::place`] gives them.
///
/// # Errors
///
/// Two have the same slot, or there are too many.
pub fn placed(given: &[DeviceProperties]) -> Result<Vec<PlacedDevice>, Failure> {
    let given: Vec<_> = given.iter().map(|it| (it.slot, it.config)).collect();
    PlacedDevice::place(&given).map_err(|error| Failure::new(error.to_string(), error.mend()))
}
