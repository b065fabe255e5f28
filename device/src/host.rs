//! How the device reaches the machine it is part of.

use std::ops::Range;

/// The sinks that an attachment implements, each as far as it needs them.
///
/// They are called from within the guest's access and must return at once.
pub trait Host {
    /// BAR `index` now decodes these guest-physical addresses, or none. Called
    /// after each change, also one that leaves the range as it was.
    fn bar_mapped(&mut self, index: u8, range: Option<Range<u64>>) {
        let _ = (index, range);
    }

    /// The guest allowed the device to reach guest memory, or forbade it.
    fn bus_master(&mut self, enabled: bool) {
        let _ = enabled;
    }

    /// The device raises the interrupt of this vector.
    fn interrupt_raised(&mut self, vector: u16) {
        let _ = vector;
    }

    /// The device is back in its power-on state: the guest asked for a
    /// function level reset, or the machine was reset.
    fn reset_done(&mut self) {}
}

/// A host that needs to hear of nothing.
impl Host for () {}
