//! A machine whose emulator is attached: its channels, and what they may have together.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::time::Instant;

use rustix::io::Errno;
use uuid::Uuid;
use vgpu_abi::link::{ADD, ADOPT, CLOSE, DELETE, Message, OPEN, PAGE, RESET};
use vgpu_abi::segment::PAGE as GRAIN;
use vgpu_poll::Poll;

use super::adoption::{Adoption, Met, Step};
use super::channel::{Channel, News, Parcel, done};
use super::closer::Closer;
use super::kinds::{self, Size};
use super::times::ENDS;
use crate::cage::Cage;
use crate::log::Log;
use crate::settings::{Limits, MachineSettings};
use crate::shares::{SeatId, Shares};

#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) uuid: Uuid,
    limits: Limits,
    page: Option<Parcel>,
    channels: BTreeMap<u32, Channel>,
    /// Workers of a former daemon that are not known yet.
    adoptions: BTreeMap<u32, Adoption>,
    /// A RESET that is not answered yet, and until when that is to be.
    reset: Option<(Message, Instant)>,
    /// What its workers are kept in, until all are gone.
    pub(crate) cage: Cage,
}

impl Machine {
    pub(crate) const fn new(uuid: Uuid, limits: Limits, cage: Cage) -> Self {
        Self {
            uuid,
            limits,
            page: None,
            channels: BTreeMap::new(),
            adoptions: BTreeMap::new(),
            reset: None,
            cage,
        }
    }

    /// What it may have from now on.
    pub(crate) fn set(&mut self, settings: &MachineSettings, log: &mut Log) {
        self.limits = settings.limits;
        self.cage.set(settings, log);
    }

    /// Ends the worker of a session, if that is one of its own and does not end yet: whoever had it is told that the channel
    /// is lost. Gives its process.
    pub(crate) fn end_session(&mut self, seat: SeatId) -> Option<u32> {
        let channels = self.channels.values_mut();
        let mut all = channels.filter(|channel| !channel.ends());
        let channel = all.find(|channel| channel.seat() == Some(seat))?;
        channel.kill(Errno::TIMEDOUT);
        Some(channel.process())
    }

    /// Whether it hears its emulator: while it resets, messages wait.
    pub(crate) const fn hears(&self) -> bool {
        self.reset.is_none()
    }

    /// Whether a process may still have memory of it.
    pub(crate) fn is_held(&self) -> bool {
        !self.channels.is_empty() || !self.adoptions.is_empty()
    }

    /// Its workers, those that a former daemon started among them as soon as they are known.
    pub(crate) fn workers(&self) -> impl Iterator<Item = u32> {
        let channels = self.channels.values().map(Channel::process);
        channels.chain(self.adoptions.values().filter_map(Adoption::process))
    }

    /// Adds what is to be waited for, by the channel's number.
    pub(crate) fn add_to<'a, S: Clone>(
        &'a self,
        poll: Poll<'a, S>,
        name: impl Fn(u32) -> S,
    ) -> Poll<'a, S> {
        let channels = self.channels.iter();
        let poll = channels.fold(poll, |poll, (number, it)| it.add_to(poll, name(*number)));
        let adoptions = self.adoptions.iter();
        adoptions.fold(poll, |poll, (number, it)| it.add_to(poll, name(*number)))
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let reset = self.reset.map(|(_, until)| until);
        let channels = self.channels.values().filter_map(Channel::deadline);
        let adoptions = self.adoptions.values().map(Adoption::deadline);
        channels.chain(adoptions).chain(reset).min()
    }

    /// Does what a message asks for; gives the answer, where that is known already.
    pub(crate) fn handle(
        &mut self,
        message: &Message,
        descriptors: Vec<OwnedFd>,
        command: &[OsString],
        shares: &mut Shares,
        closer: &Closer,
    ) -> Option<Message> {
        let mut parcel = (*message, descriptors);
        let begun = match message.kind {
            PAGE => return Some(done(message, self.set_page(parcel, closer))),
            RESET => {
                self.give_up(closer);
                self.reset = Some((*message, Instant::now() + ENDS));
                return None;
            }
            OPEN => self.open(&parcel, command, shares),
            ADD => self.add(&parcel, shares),
            DELETE => self
                .channel(message)
                .and_then(|channel| channel.delete(message)),
            CLOSE => match self.adoptions.get_mut(&message.channel) {
                Some(adoption) => adoption.close(message),
                None => self
                    .channel(message)
                    .and_then(|channel| channel.close(message)),
            },
            ADOPT => self.adopt(message, parcel.1.pop()),
            _ => Err(Errno::INVAL),
        };
        closer.close(parcel.1);
        begun.err().map(|errno| done(message, Err(errno)))
    }

    /// All workers at once are told to end, and the page goes.
    pub(crate) fn give_up(&mut self, closer: &Closer) {
        for channel in self.channels.values_mut() {
            let _ = channel.dismiss();
        }
        for adoption in self.adoptions.values_mut() {
            adoption.give_up(Errno::CANCELED);
        }
        if let Some((_, descriptors)) = self.page.take() {
            closer.close(descriptors);
        }
    }

    /// The page of channels that are opened from now on.
    fn set_page(&mut self, page: Parcel, closer: &Closer) -> Result<(), Errno> {
        let allowed = match Size::of(&page.0) {
            _ if self.is_held() => Err(Errno::BUSY),
            Ok(size) if size.bytes == GRAIN => Ok(()),
            _ => Err(Errno::INVAL),
        };
        let former = match allowed {
            Ok(()) => self.page.replace(page),
            Err(_) => Some(page),
        };
        if let Some((_, descriptors)) = former {
            closer.close(descriptors);
        }
        allowed
    }

    fn open(
        &mut self,
        open: &Parcel,
        command: &[OsString],
        shares: &mut Shares,
    ) -> Result<(), Errno> {
        let number = kinds::channel(&open.0)?;
        let size = self.room(Size::of(&open.0)?)?;
        self.has_place_for(number)?;
        let opened = shares.open(self.uuid, number, None)?;
        let seat = opened.seat;
        let page = self.page.as_ref();
        let channel = Channel::open(command, page, open, size, opened, &self.cage);
        let channel = channel.map_err(|error| {
            shares.close(seat);
            let errno = error.raw_os_error().map(Errno::from_raw_os_error);
            errno.unwrap_or(Errno::AGAIN)
        })?;
        shares.set_process(seat, channel.process(), "opened");
        shares.set_pinned(seat, channel.size().bytes);
        self.channels.insert(number, channel);
        Ok(())
    }

    /// Whether there may be one more channel, by this number.
    fn has_place_for(&self, number: u32) -> Result<(), Errno> {
        if self.channels.contains_key(&number) || self.adoptions.contains_key(&number) {
            return Err(Errno::EXIST);
        }
        match self.channels.len() + self.adoptions.len() < self.limits.channels as usize {
            true => Ok(()),
            false => Err(Errno::NOSPC),
        }
    }

    /// Looks for the worker of a channel that a former daemon opened.
    fn adopt(&mut self, adopt: &Message, way: Option<OwnedFd>) -> Result<(), Errno> {
        let number = kinds::channel(adopt)?;
        self.has_place_for(number)?;
        let way = way.ok_or(Errno::INVAL)?;
        let adoption = Adoption::begin(adopt, way, self.cage.workers_user())?;
        self.adoptions.insert(number, adoption);
        Ok(())
    }

    /// Does what is due of workers that are not known yet: of one, or of all.
    fn attend_adoptions(
        &mut self,
        only: Option<u32>,
        shares: &mut Shares,
        log: &mut Log,
        tell: &mut Vec<News>,
    ) {
        let due: Vec<_> = match only {
            Some(number) => vec![number],
            None => self.adoptions.keys().copied().collect(),
        };
        for number in due {
            let Some(adoption) = self.adoptions.get_mut(&number) else {
                continue;
            };
            let adopt = *adoption.adopt();
            match adoption.attend() {
                Step::Waits => {}
                Step::Failed(answers) => {
                    self.adoptions.remove(&number);
                    let answers = answers.iter().map(|(to, status)| (done(to, *status), None));
                    tell.extend(answers);
                }
                Step::Met(met) => {
                    self.adoptions.remove(&number);
                    let channel = self.take_in(adopt, met, shares, log);
                    self.channels.insert(number, channel);
                }
            }
        }
    }

    /// A worker is known: it may stay where the machine may have what it has.
    fn take_in(&self, adopt: Message, met: Met, shares: &mut Shares, log: &mut Log) -> Channel {
        let size: Size = met.regions.values().copied().sum();
        let process = met.process.id();
        let room = self
            .room(size)
            .and_then(|_| match self.cage.holds(process) {
                true => Ok(()),
                false => Err(Errno::PERM),
            });
        let opened = room.and_then(|()| shares.open(self.uuid, adopt.channel, Some(met.engine)));
        match &opened {
            Ok(opened) => {
                shares.set_process(opened.seat, process, "adopted");
                shares.set_pinned(opened.seat, size.bytes);
            }
            Err(errno) => log.line(format_args!("worker {process} is not adopted: {errno}")),
        }
        Channel::adopted(adopt, met, opened)
    }

    fn add(&mut self, add: &Parcel, shares: &mut Shares) -> Result<(), Errno> {
        let size = self.room(Size::of(&add.0)?)?;
        let channel = self.channel(&add.0)?;
        channel.add(add, size)?;
        note(channel, true, shares);
        Ok(())
    }

    fn channel(&mut self, message: &Message) -> Result<&mut Channel, Errno> {
        let channel = self.channels.get_mut(&message.channel);
        channel.ok_or(Errno::NOENT)
    }

    /// That size, if the machine may have so much more.
    fn room(&self, size: Size) -> Result<Size, Errno> {
        let channels = self.channels.values().map(Channel::size);
        let adoptions = self.adoptions.values().map(Adoption::size);
        let used: Size = channels.chain(adoptions).sum();
        used.plus(size, self.limits.memory)?;
        Ok(size)
    }

    /// Does what is due. What there is to tell the emulator goes to `tell`.
    pub(crate) fn attend(&mut self, shares: &mut Shares, log: &mut Log, tell: &mut Vec<News>) {
        self.channels.retain(|_, channel| {
            let stays = channel.attend(log, tell);
            note(channel, stays, shares);
            stays
        });
        self.attend_adoptions(None, shares, log, tell);
        self.settle(tell);
    }

    /// Answers a RESET where that is due.
    fn settle(&mut self, tell: &mut Vec<News>) {
        let now = Instant::now();
        let held = self.is_held();
        if let Some((reset, _)) = self.reset.take_if(|(_, until)| !held || *until <= now) {
            let status = if held { Err(Errno::TIMEDOUT) } else { Ok(()) };
            tell.push((done(&reset, status), None));
        }
    }

    /// As [`Self::attend`], for one channel.
    pub(crate) fn attend_one(
        &mut self,
        number: u32,
        shares: &mut Shares,
        log: &mut Log,
        tell: &mut Vec<News>,
    ) {
        if let Some(channel) = self.channels.get_mut(&number) {
            let stays = channel.attend(log, tell);
            note(channel, stays, shares);
            if !stays {
                self.channels.remove(&number);
            }
        }
        self.attend_adoptions(Some(number), shares, log, tell);
        self.settle(tell);
    }

    /// Kills all workers, and waits for their ends.
    pub(crate) fn end(&mut self) {
        self.channels.values_mut().for_each(|channel| {
            let _ = channel.dismiss();
        });
        for adoption in self.adoptions.values_mut() {
            adoption.give_up(Errno::CANCELED);
        }
        self.channels.values_mut().for_each(Channel::end);
    }
}

/// What a session shares by now; or its end, where its worker is gone.
fn note(channel: &Channel, stays: bool, shares: &mut Shares) {
    match channel.seat() {
        Some(seat) if stays => shares.set_pinned(seat, channel.size().bytes),
        Some(seat) => shares.close(seat),
        None => {}
    }
}
