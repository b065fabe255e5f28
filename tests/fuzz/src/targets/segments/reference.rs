//! What has to become of a driver's requests and of a daemon's words, by pages and small sets.

use std::collections::{BTreeMap, BTreeSet};

use vgpu_abi::link::{self, Message};
use vgpu_abi::mailbox::code;
use vgpu_abi::segment::PAGE;
use vgpu_channels::{GuestMemory as _, Outcome};
use vgpu_device::{HostState, Task};

use super::guest::{Guest, Page};

/// Channels, regions of each, bytes.
pub(super) const LIMITS: (u16, u16, u64) = (3, 3, 1 << 20);

/// Files that one message may have, and pages of a directory.
const FILES: usize = 13;
const CHAIN: usize = 33;

/// Pages of files, by descriptors, as a worker maps them.
type Pages = Vec<(i32, u64)>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Waiting {
    number: u32,
    kind: u32,
    channel: u32,
    region: u32,
}

/// What the device has of its guest's.
#[derive(Debug, Clone, Default)]
struct Held {
    /// The guest's pages, by channel and region.
    regions: BTreeMap<(u32, u32), Vec<u64>>,
    /// Channels whose worker lives.
    served: BTreeSet<u32>,
    page: bool,
    waiting: Option<Waiting>,
}

#[derive(Debug, Default)]
pub(super) struct Reference {
    held: Held,
    /// As it was before the last request.
    before: Held,
    pub(super) connected: bool,
    ready: bool,
    pub(super) resets: u32,
    pub(super) revoked: u32,
    /// A reset that the daemon is to be asked for.
    again: Option<u32>,
}

/// Who is asked for something.
#[derive(Debug)]
pub(super) enum Asked {
    /// Nobody: the answer is this.
    Nobody(Option<u32>),
    /// The daemon, about these pages.
    Daemon(Pages),
}

impl Reference {
    pub(super) fn holds_nothing(&self) -> bool {
        let Held {
            regions,
            page,
            waiting,
            ..
        } = &self.held;
        regions.is_empty() && !page && waiting.is_none()
    }

    pub(super) fn take_again(&mut self) -> Option<u32> {
        self.again.take()
    }

    /// The last request came to nothing.
    pub(super) fn undo(&mut self) {
        self.held = self.before.clone();
    }

    pub(super) fn has_memory_in(&self, first: u64, last: u64) -> bool {
        let mut pages = self.held.regions.values().flatten();
        pages.any(|page| page * PAGE <= last && page * PAGE + PAGE > first)
    }

    /// What the daemon gets, or the answer where it need not be asked.
    pub(super) fn request(&mut self, number: u32, task: Task, guest: &Guest) -> Result<Asked, u16> {
        self.before = self.held.clone();
        if self.held.waiting.is_some() || self.resets > 0 || !self.ready {
            return Err(code::NOT_READY);
        }
        let has = |it: &Self, channel, region| it.held.regions.contains_key(&(channel, region));
        let (kind, channel, region, pages) = match task {
            Task::Start { page } => {
                if self.held.page || page % PAGE != 0 {
                    return Err(code::PARAMETERS);
                }
                let of = shareable(page / PAGE)?;
                self.held.page = true;
                (link::PAGE, 0, 0, vec![of])
            }
            Task::Stop if self.holds_nothing() => return Ok(Asked::Nobody(None)),
            Task::Stop => (link::RESET, 0, 0, Vec::new()),
            Task::Open { directory, length } => {
                let channel = (0..u32::from(LIMITS.0)).find(|channel| !has(self, *channel, 0));
                let channel = channel.ok_or(code::LIMIT)?;
                let pages = self.share((channel, 0), directory, length, guest)?;
                self.held.served.insert(channel);
                (link::OPEN, channel, 0, pages)
            }
            Task::Add {
                channel,
                directory,
                length,
            } => {
                if !has(self, channel, 0) {
                    return Err(code::ABSENT);
                }
                let region = (0..u32::from(LIMITS.1)).find(|region| !has(self, channel, *region));
                let region = region.ok_or(code::LIMIT)?;
                let pages = self.share((channel, region), directory, length, guest)?;
                (link::ADD, channel, region, pages)
            }
            Task::Close { channel } | Task::Look { channel } if !has(self, channel, 0) => {
                return Err(code::ABSENT);
            }
            Task::Look { channel } => {
                let served = self.held.served.contains(&channel);
                return Ok(Asked::Nobody(Some(u32::from(served))));
            }
            Task::Close { channel } if !self.held.served.contains(&channel) => {
                self.close(channel);
                return Ok(Asked::Nobody(None));
            }
            Task::Close { channel } => (link::CLOSE, channel, 0, Vec::new()),
            Task::Delete { channel, region } if region != 0 && has(self, channel, region) => {
                (link::DELETE, channel, region, Vec::new())
            }
            Task::Delete { .. } => return Err(code::ABSENT),
        };
        self.held.waiting = Some(Waiting {
            number,
            kind,
            channel,
            region,
        });
        Ok(Asked::Daemon(pages))
    }

    fn share(
        &mut self,
        place: (u32, u32),
        directory: u64,
        length: u64,
        guest: &Guest,
    ) -> Result<Pages, u16> {
        let taken: Vec<_> = self.held.regions.values().flatten().copied().collect();
        if length == 0 || !length.is_multiple_of(PAGE) {
            return Err(code::PARAMETERS);
        }
        if u128::from(length) + u128::from(taken.len() as u64 * PAGE) > LIMITS.2.into() {
            return Err(code::LIMIT);
        }
        let (own, pages) = read(directory, length, guest, &taken)?;
        self.held.regions.insert(place, own);
        Ok(pages)
    }

    fn close(&mut self, channel: u32) {
        self.held.regions.retain(|(of, _), _| *of != channel);
        self.held.served.remove(&channel);
    }

    /// What a daemon says that does what it was asked for; `nature` chooses how.
    pub(super) fn answer(&self, nature: u32) -> Message {
        let message = Message {
            kind: link::DONE,
            status: if nature.is_multiple_of(3) { 5 } else { 0 },
            ..Message::default()
        };
        match self.held.waiting {
            Some(waiting) if self.resets == 0 => Message {
                of: waiting.kind,
                channel: waiting.channel,
                region: waiting.region,
                ..message
            },
            _ => Message {
                of: link::RESET,
                ..message
            },
        }
    }

    fn state(&self) -> Outcome {
        let state = match self.ready {
            true => HostState::Ready,
            false => HostState::NoDaemon,
        };
        Outcome::State(state, self.revoked)
    }

    /// Errors are words that make no sense.
    pub(super) fn received(&mut self, message: &Message) -> Result<Option<Outcome>, ()> {
        let resetting = self.resets > 0;
        match message.kind {
            link::STATE => {
                self.ready = message.status == 1;
                Ok((!resetting).then(|| self.state()))
            }
            link::DONE if resetting && message.of == link::RESET => {
                match message.status {
                    0 => self.resets -= 1,
                    // Somebody may still have the memory.
                    _ => self.again = Some(link::RESET),
                }
                Ok((self.resets == 0).then(|| self.state()))
            }
            link::DONE | link::LOST if resetting => Ok(None),
            link::DONE => self.done(message).map(Some),
            link::LOST if message.channel < 256 => {
                self.held.served.remove(&message.channel);
                let has = self.held.regions.contains_key(&(message.channel, 0));
                Ok(has.then_some(Outcome::Lost))
            }
            _ => Err(()),
        }
    }

    fn done(&mut self, message: &Message) -> Result<Outcome, ()> {
        let waiting = self.held.waiting.ok_or(())?;
        let (channel, region) = (message.channel, message.region);
        if (waiting.kind, waiting.channel, waiting.region) != (message.of, channel, region) {
            return Err(());
        }
        self.held.waiting = None;
        let well = message.status == 0;
        match message.of {
            link::RESET if well => self.held = Held::default(),
            link::PAGE => self.held.page = well,
            link::OPEN if !well => self.close(channel),
            link::CLOSE if well => self.close(channel),
            link::ADD if !well => drop(self.held.regions.remove(&(channel, region))),
            link::DELETE if well => drop(self.held.regions.remove(&(channel, region))),
            _ => {}
        }
        let value = match message.of {
            link::OPEN => Some(channel),
            link::ADD => Some(region),
            _ => None,
        };
        let result = if well { Ok(value) } else { Err(code::HOST) };
        Ok(Outcome::Complete(waiting.number, result))
    }

    pub(super) fn revoke(&mut self, number: u32) -> Option<Outcome> {
        self.revoked = number;
        let stops = self.held.waiting.is_some_and(|it| it.kind == link::RESET);
        let held = !self.holds_nothing();
        self.held = Held::default();
        if held {
            self.resets += 1;
            // The driver's own is as good.
            self.again = (!stops).then_some(link::RESET);
        }
        (self.resets == 0).then(|| self.state())
    }

    pub(super) fn disconnected(&mut self) -> Outcome {
        let lost = !self.holds_nothing() || self.ready || self.resets > 0;
        self.held = Held::default();
        (self.connected, self.ready, self.resets) = (false, false, 0);
        let state = match lost {
            true => HostState::Lost,
            false => HostState::NoDaemon,
        };
        Outcome::State(state, self.revoked)
    }
}

/// A page of the guest's as a worker may map it.
fn shareable(page: u64) -> Result<(i32, u64), u16> {
    match Guest::page(page) {
        Page::Of(file, at) => Ok((file, at)),
        Page::Private => Err(code::NOT_SHARED),
        Page::Odd | Page::None => Err(code::NOT_MEMORY),
    }
}

/// The pages that a directory names: the guest's, and what they are in files.
fn read(
    directory: u64,
    length: u64,
    guest: &Guest,
    taken: &[u64],
) -> Result<(Vec<u64>, Pages), u16> {
    let (mut chain, mut next) = (Vec::new(), directory);
    while next != 0 {
        if next % PAGE != 0 || chain.len() == CHAIN {
            return Err(code::DIRECTORY);
        }
        let readable = guest.find(next).is_ok_and(|found| found.length >= PAGE);
        if !readable {
            return Err(code::NOT_MEMORY);
        }
        let words = guest.words(next / PAGE);
        let (magic, count) = (words[0] as u32, words[0] >> 32);
        if magic.to_le_bytes() != *b"VGPU" || !(1..=510).contains(&count) {
            return Err(code::DIRECTORY);
        }
        next = words[1];
        chain.push((words, count as usize));
    }
    let mut left = length / PAGE;
    let (mut own, mut pages, mut files) = (Vec::new(), Vec::new(), BTreeSet::new());
    for (words, count) in &chain {
        for word in &words[2..2 + count] {
            let (order, first) = (word & 0xfff, word / PAGE);
            let wraps = order > 18 || u128::from(first) + (1 << order) >= 1 << 52;
            if wraps || 1 << order > left {
                return Err(code::DIRECTORY);
            }
            let range = first..first + (1 << order);
            let mut known = own.iter().chain(taken);
            if known.any(|page| range.contains(page)) {
                return Err(code::OVERLAP);
            }
            left -= 1 << order;
            own.extend(range.clone());
            for page in range.clone() {
                let of = shareable(page)?;
                if files.insert(of.0) && files.len() > FILES {
                    // Where it is found, all of a part is: one that does not end with a page is no memory, and not a piece.
                    let mut rest = (page..range.end).map(Guest::page);
                    let end = rest.find(|it| !matches!(it, Page::Of(file, _) if *file == of.0));
                    return Err(match end {
                        Some(Page::Odd) => code::NOT_MEMORY,
                        _ => code::FRAGMENTED,
                    });
                }
                pages.push(of);
            }
        }
    }
    match (chain.len(), left) {
        (1.., 0) => Ok((own, pages)),
        _ => Err(code::DIRECTORY),
    }
}
