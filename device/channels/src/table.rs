//! The channels of a device, and their regions.

use vgpu_abi::mailbox::code;

use crate::limits::Limits;
use crate::ranges::Ranges;

/// What a region has.
#[derive(Debug)]
pub(crate) struct Region {
    pub(crate) addresses: Ranges,
    pub(crate) length: u64,
    pub(crate) pieces: usize,
}

/// All channels; region 0 of each is its slice.
#[derive(Debug, Default)]
pub(crate) struct Table(Vec<Option<Vec<Option<Region>>>>);

impl Table {
    /// A number that no channel has.
    pub(crate) fn free_channel(&self, limits: &Limits) -> Result<usize, u16> {
        free(&self.0, limits.channels)
    }

    /// A number that no region of a channel has.
    pub(crate) fn free_region(&self, channel: u32, limits: &Limits) -> Result<usize, u16> {
        free(self.regions(channel)?, limits.regions)
    }

    fn regions(&self, channel: u32) -> Result<&Vec<Option<Region>>, u16> {
        let channel = self.0.get(channel as usize).and_then(Option::as_ref);
        channel.ok_or(code::ABSENT)
    }

    /// Whether there is a channel of this number.
    pub(crate) fn has(&self, channel: u32) -> bool {
        self.regions(channel).is_ok()
    }

    /// Whether a channel has a region of this number.
    pub(crate) fn has_region(&self, channel: u32, region: u32) -> bool {
        let regions = self.regions(channel);
        regions.is_ok_and(|it| it.get(region as usize).is_some_and(Option::is_some))
    }

    /// Adds a region at a free number: 0 makes the channel.
    pub(crate) fn add(&mut self, channel: u32, region: u32, of: Region) {
        let channel = place(&mut self.0, channel as usize);
        let regions = channel.get_or_insert_default();
        *place(regions, region as usize) = Some(of);
    }

    /// Forgets a channel with all its regions.
    pub(crate) fn remove(&mut self, channel: u32) {
        if let Some(channel) = self.0.get_mut(channel as usize) {
            *channel = None;
        }
    }

    /// Forgets a region.
    pub(crate) fn remove_region(&mut self, channel: u32, region: u32) {
        let channel = self.0.get_mut(channel as usize).and_then(Option::as_mut);
        if let Some(region) = channel.and_then(|it| it.get_mut(region as usize)) {
            *region = None;
        }
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Whether there is no channel.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// All regions of all channels.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Region> {
        self.0.iter().flatten().flatten().flatten()
    }

    /// A channel that has memory in a range of addresses.
    pub(crate) fn within(&self, first: u64, last: u64) -> bool {
        self.all()
            .any(|region| region.addresses.overlap(first, last))
    }
}

fn free<T>(places: &[Option<T>], most: u16) -> Result<usize, u16> {
    let free = places.iter().position(Option::is_none);
    let index = free.unwrap_or(places.len());
    match index < usize::from(most) {
        true => Ok(index),
        false => Err(code::LIMIT),
    }
}

/// A place, which is made where there is none. Numbers come of [`free`], so they are small.
#[expect(clippy::indexing_slicing, reason = "there are as many")]
fn place<T>(places: &mut Vec<Option<T>>, index: usize) -> &mut Option<T> {
    if places.len() <= index {
        places.resize_with(index.saturating_add(1), || None);
    }
    &mut places[index]
}
