//! What a change of the device asks of the machine around it.

use std::ops::Range;

/// What the host has to do after the device has changed.
///
/// Every method that changes a [`Device`](crate::Device) returns it. An attachment takes it apart field by field, without
/// `..`, so that an effect which is added later cannot be lost: the attachment does not compile until it says what it does
/// about it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use = "the host has to act on it"]
pub struct Effects {
    /// Where BAR0 answers.
    pub bar0: BarMapping,
    /// The guest allowed the device to reach guest memory, or forbade it.
    pub bus_master: Option<bool>,
    /// The device is back in its power-on state: the guest asked for a function level reset, or the machine was reset.
    pub reset: bool,
    /// The guest rang.
    pub doorbell: Option<Doorbell>,
}

/// A guest's write to an area of BAR0 that stores nothing ([`vgpu_pci::AreaKind::Doorbell`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Doorbell {
    /// Byte offset in BAR0.
    pub offset: u64,
    /// What was written.
    pub value: u64,
}

/// What has become of the addresses that a BAR decodes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum BarMapping {
    /// Nothing was written that moves it.
    #[default]
    Untouched,
    /// It decodes no address: memory decode is off, or it holds none that can be used.
    Nowhere,
    /// It decodes these guest-physical addresses, which may be those from before.
    At(Range<u64>),
}

impl From<Option<Range<u64>>> for BarMapping {
    fn from(range: Option<Range<u64>>) -> Self {
        range.map_or(Self::Nowhere, Self::At)
    }
}

impl BarMapping {
    /// Writes down in `range` where the BAR answers now; returns whether it was touched at all.
    pub fn update(self, range: &mut Option<Range<u64>>) -> bool {
        match self {
            Self::Untouched => return false,
            Self::Nowhere => *range = None,
            Self::At(addresses) => *range = Some(addresses),
        }
        true
    }
}
