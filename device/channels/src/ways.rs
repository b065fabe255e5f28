//! The ways back to workers, by which they outlive a daemon.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::daemon::Way;

/// How long the ends of workers are waited for that nobody but they themselves brings about.
const ENDS: Duration = Duration::from_secs(1);

/// A worker that is to end.
#[derive(Debug)]
struct Ending {
    /// Whose it was, where that channel is still there.
    channel: Option<u32>,
    way: Box<dyn Way>,
    /// Until when its end is waited for.
    until: Instant,
}

#[derive(Debug, Default)]
pub(crate) struct Ways {
    /// Of channels, by number.
    kept: BTreeMap<u32, Box<dyn Way>>,
    /// Of workers that are to end, in their order.
    ending: Vec<Ending>,
}

impl Ways {
    pub(crate) fn keep(&mut self, channel: u32, way: Box<dyn Way>) {
        self.kept.insert(channel, way);
    }

    pub(crate) fn kept(&self) -> impl Iterator<Item = (u32, &dyn Way)> {
        self.kept.iter().map(|(channel, way)| (*channel, &**way))
    }

    pub(crate) fn has_none(&self) -> bool {
        self.kept.is_empty()
    }

    /// A channel's worker is gone, or a daemon has seen to it.
    pub(crate) fn forget(&mut self, channel: u32) {
        self.kept.remove(&channel);
    }

    /// A channel's worker is to end.
    pub(crate) fn end(&mut self, channel: u32) {
        if let Some(way) = self.kept.remove(&channel) {
            self.give_up(Some(channel), way);
        }
    }

    /// All are to end, and the channels are no more.
    pub(crate) fn end_all(&mut self) {
        for ending in &mut self.ending {
            ending.channel = None;
        }
        for way in std::mem::take(&mut self.kept).into_values() {
            self.give_up(None, way);
        }
    }

    fn give_up(&mut self, channel: Option<u32>, way: Box<dyn Way>) {
        way.give_up();
        let now = Instant::now();
        let until = now.checked_add(ENDS).unwrap_or(now);
        self.ending.push(Ending {
            channel,
            way,
            until,
        });
    }

    /// A daemon has ended them all.
    pub(crate) fn ended(&mut self) {
        self.ending.clear();
    }

    /// Whether some were to end, and may not have yet.
    pub(crate) fn are_ending(&self) -> bool {
        !self.ending.is_empty()
    }

    /// Whether a channel's worker is to end, and may not have yet.
    pub(crate) fn ends(&self, channel: u32) -> bool {
        let mut ending = self.ending.iter();
        ending.any(|ending| ending.channel == Some(channel))
    }

    /// Looks who has ended; gives a channel that has lost its worker so.
    pub(crate) fn look(&mut self) -> Option<u32> {
        let now = Instant::now();
        let mut lost = None;
        self.ending.retain(|ending| {
            let stays = lost.is_some() || (ending.until > now && !ending.way.is_gone());
            if !stays {
                lost = ending.channel;
            }
            stays
        });
        lost
    }

    /// A channel whose worker has ended by itself.
    pub(crate) fn gone(&self) -> Option<u32> {
        let gone = |(channel, way): (u32, &dyn Way)| way.is_gone().then_some(channel);
        self.kept().find_map(gone)
    }
}

/// What there is to do with the next daemon.
#[derive(Debug)]
pub(crate) struct Away {
    /// Until when workers wait for it.
    pub(crate) until: Option<Instant>,
    /// Channels that it has been asked to adopt. `None`: it has not said yet that it takes any.
    pub(crate) asked: Option<Vec<u32>>,
}
