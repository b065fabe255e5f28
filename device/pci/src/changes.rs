//! What a change of config space means beyond its registers.

use bitflags::bitflags;

bitflags! {
    /// What a write changed beyond the registers themselves.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    #[must_use]
    pub struct Changes: u8 {
        /// A BAR was moved, or memory decode switched: ask
        /// [`ConfigSpace::bar_range`](crate::ConfigSpace::bar_range) anew.
        const BAR_MAPPING = 1 << 0;
        /// Bus mastering was switched.
        const BUS_MASTER = 1 << 1;
        /// Software asked for a function level reset. The config space has
        /// not reset itself: the owner resets it with the rest of the device.
        const FUNCTION_LEVEL_RESET = 1 << 2;
    }
}
