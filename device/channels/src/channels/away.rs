//! Daemons come and go. Where one goes, workers go on, as long as their ways back say; the next one adopts them.

use std::mem;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use vgpu_abi::link::{self, Message};
use vgpu_abi::mailbox::code;
use vgpu_device::HostState;

use super::{Channels, Waiting};
use crate::daemon::{Daemon, Outcome};
use crate::memory::Shared;
use crate::ways::Away;

/// How long workers go on without a daemon.
const GRACE: Duration = Duration::from_millis(link::GRACE_MS);

impl Channels {
    /// There is a daemon.
    pub fn connected(&mut self, daemon: Box<dyn Daemon>) -> Option<Outcome> {
        self.daemon = Some(daemon);
        let attach = Message {
            kind: link::ATTACH,
            version: link::VERSION,
            machine: self.machine,
            ..Message::default()
        };
        match self.send(&attach, &Shared::default(), &[]) {
            Ok(()) => None,
            Err(_) => self.disconnected(),
        }
    }

    /// The daemon is gone. Where workers have a way back, they go on for [`link::GRACE_MS`], and nothing is lost until then:
    /// [`Self::attend`] tells.
    pub fn disconnected(&mut self) -> Option<Outcome> {
        let held = !self.holds_nothing();
        let served = self.ready || self.resets > 0;
        self.daemon = None;
        self.ready = false;
        let resets = mem::take(&mut self.resets) > 0;
        let stops = self.waiting.as_ref().is_some_and(Waiting::stops);
        if !resets && !stops && !self.ways.has_none() {
            // Where another one has come and gone that adopted none, workers do not wait any longer.
            let until = match self.away.take() {
                Some(Away { until, asked: None }) => until,
                _ => Instant::now().checked_add(GRACE),
            };
            self.away = Some(Away { until, asked: None });
            return self.opens_no_more();
        }
        self.lost |= held || served || self.away.is_some();
        self.forget();
        match self.lost {
            true => self.attend(),
            false => Some(Outcome::State(HostState::NoDaemon, self.revoked)),
        }
    }

    /// What a daemon was asked to map first is not: nobody knows the worker, which ends.
    fn opens_no_more(&mut self) -> Option<Outcome> {
        let opens = |waiting: &mut Waiting| [link::OPEN, link::PAGE].contains(&waiting.kind);
        let waiting = self.waiting.take_if(opens)?;
        match waiting.kind {
            link::PAGE => self.page = None,
            _ => self.close(waiting.channel),
        }
        Some(Outcome::Complete(waiting.number, Err(code::HOST)))
    }

    pub(super) fn forget(&mut self) {
        self.table.clear();
        self.doorbells.clear();
        self.page = None;
        self.waiting = None;
        self.away = None;
        self.ways.end_all();
    }

    /// Does what is due, and says what came of it: to be called until there is nothing, from time to time where there is no
    /// daemon, and after the daemon has said something.
    pub fn attend(&mut self) -> Option<Outcome> {
        if let Some(outcome) = self.news.pop_front() {
            return Some(outcome);
        }
        if let Some(away) = &self.away {
            let over = away.until.is_none_or(|until| until <= Instant::now());
            if over && away.asked.is_none() {
                self.lost = true;
                self.forget();
            } else if let Some(channel) = self.ways.gone() {
                self.ways.forget(channel);
                self.silence(channel);
                return Some(Outcome::Lost);
            }
        }
        if let Some(channel) = self.ways.look() {
            self.silence(channel);
            return Some(Outcome::Lost);
        }
        // Where a daemon resets, that says when.
        if self.ways.are_ending() || self.resets > 0 {
            return None;
        }
        let lost = mem::take(&mut self.lost);
        lost.then_some(Outcome::State(HostState::Lost, self.revoked))
    }

    /// Whether workers are about to end, which [`Self::attend`] finds out.
    #[must_use]
    pub fn is_settling(&self) -> bool {
        self.ways.are_ending()
    }

    /// Whether the next daemon has workers to adopt.
    pub(super) const fn is_away(&self) -> bool {
        self.away.is_some()
    }

    /// All of the guest's memory is to be given up, by the revocation of this number. What becomes of it is told at once, or
    /// when the daemon has done it.
    pub fn revoke(&mut self, number: u32) -> Option<Outcome> {
        self.revoked = number;
        let stops = |waiting: &mut Waiting| waiting.stops();
        if self.waiting.take_if(stops).is_some() {
            // The driver has asked for a reset itself, which is as good: it is answered once.
            self.forget();
            self.resets = self.resets.saturating_add(1);
        }
        if self.holds_nothing() {
            // Where a reset is in work, or a worker ends, its end says so.
            let waits = self.resets > 0 || self.lost;
            return (!waits).then(|| self.state());
        }
        // One that adopts has said that it takes channels.
        let adopts = self.away.as_ref().and_then(|away| away.asked.as_ref());
        self.ready |= adopts.is_some();
        self.forget();
        let reset = Message {
            kind: link::RESET,
            ..Message::default()
        };
        match self.send(&reset, &Shared::default(), &[]) {
            Ok(()) => {
                self.resets = self.resets.saturating_add(1);
                None
            }
            Err(_) => {
                self.lost = true;
                self.disconnected()
            }
        }
    }

    /// The next daemon takes channels, or does not: it is to adopt the workers that there are.
    pub(super) fn adopt(&mut self, takes: bool) -> Result<Option<Outcome>, Errno> {
        match &self.away {
            Some(Away { asked: None, .. }) if takes => Ok(self.ask_to_adopt()),
            Some(Away { asked: None, .. }) => Ok(None),
            _ => Err(Errno::PROTO),
        }
    }

    fn ask_to_adopt(&mut self) -> Option<Outcome> {
        let page = self.page.take();
        let message = Message {
            kind: link::PAGE,
            length: vgpu_abi::segment::PAGE,
            ..Message::default()
        };
        let told = page.as_ref().map(|page| self.send(&message, page, &[]));
        self.page = page;
        if let Some(Err(_)) = told {
            return self.disconnected();
        }
        let channels: Vec<_> = self.ways.kept().map(|(channel, _)| channel).collect();
        let daemon = self.daemon.as_mut()?;
        let sent = self.ways.kept().try_for_each(|(channel, way)| {
            let message = Message {
                kind: link::ADOPT,
                channel,
                ..Message::default()
            };
            daemon.send(&message, &[], &[way.file()])
        });
        if sent.is_err() {
            return self.disconnected();
        }
        let until = self.away.as_ref().and_then(|away| away.until);
        self.away = Some(Away {
            until,
            asked: Some(channels),
        });
        self.adopted_all()
    }

    /// The next daemon has answered for a channel.
    pub(super) fn adopted(&mut self, message: &Message) -> Result<Option<Outcome>, Errno> {
        let asked = self.away.as_mut().and_then(|away| away.asked.as_mut());
        let asked = asked.ok_or(Errno::PROTO)?;
        let place = asked.iter().position(|it| *it == message.channel);
        asked.swap_remove(place.ok_or(Errno::PROTO)?);
        if message.status != 0 {
            self.ways.end(message.channel);
        }
        Ok(self.adopted_all())
    }

    /// Goes on as ever, where it has answered for all.
    fn adopted_all(&mut self) -> Option<Outcome> {
        let asked = self.away.as_ref().and_then(|away| away.asked.as_ref());
        if !asked.is_some_and(Vec::is_empty) {
            return None;
        }
        self.away = None;
        self.ready = true;
        let state = self.state();
        self.news.push_back(state);
        if let Some(waiting) = self.waiting.take() {
            let resumed = self.resume(waiting);
            self.news.extend(resumed);
        }
        self.news.pop_front()
    }

    /// Asks this daemon for what the last one did not answer. A region that may be mapped, or not, is to be no more.
    fn resume(&mut self, mut waiting: Waiting) -> Option<Outcome> {
        let Waiting {
            number,
            kind,
            channel,
            region,
            ..
        } = waiting;
        if self.is_lost(channel) {
            if kind == link::CLOSE {
                self.close(channel);
                return Some(Outcome::Complete(number, Ok(None)));
            }
            return Some(Outcome::Complete(number, Err(code::HOST)));
        }
        waiting.asked = match kind {
            link::ADD => link::DELETE,
            kind => kind,
        };
        waiting.again = true;
        let message = Message {
            kind: waiting.asked,
            channel,
            region,
            ..Message::default()
        };
        self.waiting = Some(waiting);
        match self.send(&message, &Shared::default(), &[]) {
            Ok(()) => None,
            Err(_) => self.disconnected(),
        }
    }
}
