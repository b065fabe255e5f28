//! What a change of the device asks of the machine around it.

use std::ops::Range;

use crate::Request;

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
    /// The guest rang for a channel of this number, which there may not be.
    pub doorbell: Option<u16>,
    /// The guest asks for something; [`Device::complete`](crate::Device::complete) answers.
    pub request: Option<Request>,
    /// Interrupt vector 0 is due.
    pub interrupt: bool,
    /// All that the host has of the guest's memory is to be given up, and what was asked for is of no interest any more.
    /// [`Device::set_host_state`](crate::Device::set_host_state) says when that is done, by this number.
    pub revoke: Option<u32>,
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
