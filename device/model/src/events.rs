//! What the guest is interrupted for.

use vgpu_abi::bar0::{DRIVER, EVENTS};
use vgpu_abi::features::driver;

use crate::Effects;
use crate::storage::Storage;

/// Adds events; interrupts where there are new ones, and a driver.
pub(crate) fn raise(storage: &mut Storage, events: u32) -> Effects {
    let before = storage.get(EVENTS);
    if storage.get(DRIVER) == driver::RESET {
        return Effects::default();
    }
    storage.set(EVENTS, before | events);
    Effects {
        interrupt: before & events != events,
        ..Effects::default()
    }
}
