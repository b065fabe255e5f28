//! Which slot each of a guest's devices has, of what a user chose.

use vgpu_terminal::Failure;
use vgpu_xen::PlacedDevice;

use crate::DeviceProperties;

/// The devices, each in a slot, as [`PlacedDevice::place`] gives them.
///
/// # Errors
///
/// Two have the same slot, there are too many, or one is to have features, which there are none of on Xen.
pub fn placed(given: &[DeviceProperties]) -> Result<Vec<PlacedDevice>, Failure> {
    if given.iter().any(|it| it.config.features.is_some()) {
        return Err(Failure::new(
            "a device has no features on Xen: its memory cannot be shared yet",
            "leave features=on out",
        ));
    }
    let given: Vec<_> = given.iter().map(|it| (it.slot, it.config)).collect();
    PlacedDevice::place(&given).map_err(|error| Failure::new(error.to_string(), error.mend()))
}
