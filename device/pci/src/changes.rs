//! What a change of config space means beyond its registers.

/// What a write or a reset changed beyond the registers themselves. Take it apart field by field, without `..`: what is added
/// later cannot be lost then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use = "the device has to follow it"]
pub struct Changes {
    /// A BAR was moved, or memory decode switched: ask [`ConfigSpace::bar_range`](crate::ConfigSpace::bar_range) anew.
    pub bar_mapping: bool,
    /// Bus mastering was switched.
    pub bus_master: bool,
    /// Software asked for a function level reset. The config space has not reset itself: the owner resets it with the rest of
    /// the device.
    pub function_level_reset: bool,
}

impl Changes {
    /// Nothing.
    pub const NONE: Self = Self {
        bar_mapping: false,
        bus_master: false,
        function_level_reset: false,
    };

    /// Software asked for a function level reset, and nothing else.
    pub const FUNCTION_LEVEL_RESET: Self = Self {
        function_level_reset: true,
        ..Self::NONE
    };

    /// These, and `others`.
    pub const fn and(self, others: Self) -> Self {
        let Self {
            bar_mapping,
            bus_master,
            function_level_reset,
        } = others;
        Self {
            bar_mapping: self.bar_mapping || bar_mapping,
            bus_master: self.bus_master || bus_master,
            function_level_reset: self.function_level_reset || function_level_reset,
        }
    }
}
