//! What a device counts.

/// What was counted since the process started. Each counter wraps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Reads of config space.
    pub config_reads: u64,
    /// Writes of config space.
    pub config_writes: u64,
    /// Reads of BAR0, the refused ones among them.
    pub bar0_reads: u64,
    /// Writes of BAR0, the refused ones among them.
    pub bar0_writes: u64,
    /// Reads of BAR0 in a form that the device does not take.
    pub refused_reads: u64,
    /// Writes of BAR0 in a form that the device does not take.
    pub refused_writes: u64,
    /// Resets, by the guest or of the machine.
    pub resets: u64,
    /// How often a VM was connected.
    pub connections: u64,
}
