//! A machine whose emulator is attached: its channels, and what they may have together.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::time::Instant;

use rustix::io::Errno;
use uuid::Uuid;
use vgpu_abi::link::{ADD, CLOSE, DELETE, Message, OPEN, PAGE, RESET};
use vgpu_abi::segment::PAGE as GRAIN;

use super::channel::{Channel, ENDS, Parcel, done};
use super::closer::Closer;
use super::kinds::{self, Size};
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
            reset: None,
            cage,
        }
    }

    /// What it may have from now on.
    pub(crate) fn set(&mut self, settings: &MachineSettings, log: &mut Log) {
        self.limits = settings.limits;
        self.cage.set(settings, log);
    }

    /// Ends the worker of a session, if that is one of its own and does not end yet: whoever had it is told that the channel is lost. Gives its
    /// process.
    pub(crate) fn end_session(&mut self, seat: SeatId) -> Option<u32> {
        let mut channels = self.channels.values_mut();
        let channel = channels.find(|channel| channel.seat() == seat && !channel.ends())?;
        channel.kill(Errno::TIMEDOUT);
        Some(channel.process())
    }

    /// Whether it hears its emulator: while it resets, messages wait.
    pub(crate) const fn hears(&self) -> bool {
        self.reset.is_none()
    }

    /// Whether a process may still have memory of it.
    pub(crate) fn is_held(&self) -> bool {
        !self.channels.is_empty()
    }

    pub(crate) fn channels(&self) -> impl Iterator<Item = (u32, &Channel)> {
        self.channels
            .iter()
            .map(|(&number, channel)| (number, channel))
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let reset = self.reset.map(|(_, until)| until);
        let channels = self.channels.values().filter_map(Channel::deadline);
        channels.chain(reset).min()
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
        let parcel = (*message, descriptors);
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
            CLOSE => self
                .channel(message)
                .and_then(|channel| channel.close(message)),
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
        let size = self.room(&open.0)?;
        if self.channels.contains_key(&number) {
            return Err(Errno::EXIST);
        }
        if self.channels.len() >= self.limits.channels as usize {
            return Err(Errno::NOSPC);
        }
        let opened = shares.open(self.uuid, number)?;
        let seat = opened.seat;
        let page = self.page.as_ref();
        let channel = Channel::open(command, page, open, size, opened, &self.cage);
        let channel = channel.map_err(|error| {
            shares.close(seat);
            let errno = error.raw_os_error().map(Errno::from_raw_os_error);
            errno.unwrap_or(Errno::AGAIN)
        })?;
        shares.set_process(seat, channel.process());
        shares.set_pinned(seat, channel.size().bytes);
        self.channels.insert(number, channel);
        Ok(())
    }

    fn add(&mut self, add: &Parcel, shares: &mut Shares) -> Result<(), Errno> {
        let size = self.room(&add.0)?;
        let channel = self.channel(&add.0)?;
        channel.add(add, size)?;
        shares.set_pinned(channel.seat(), channel.size().bytes);
        Ok(())
    }

    fn channel(&mut self, message: &Message) -> Result<&mut Channel, Errno> {
        let channel = self.channels.get_mut(&message.channel);
        channel.ok_or(Errno::NOENT)
    }

    /// What a message asks for, if the machine may have it.
    fn room(&self, message: &Message) -> Result<Size, Errno> {
        let size = Size::of(message)?;
        let sizes = self.channels.values().map(Channel::size);
        let memory = self.limits.memory;
        let used = sizes.fold(Size::default(), |sum, size| Size {
            bytes: sum.bytes + size.bytes,
            pieces: sum.pieces + size.pieces,
        });
        used.plus(size, memory)?;
        Ok(size)
    }

    /// Does what is due. What there is to tell the emulator goes to `tell`.
    pub(crate) fn attend(&mut self, shares: &mut Shares, log: &mut Log, tell: &mut Vec<Message>) {
        self.channels.retain(|_, channel| {
            let stays = channel.attend(log, tell);
            match stays {
                true => shares.set_pinned(channel.seat(), channel.size().bytes),
                false => shares.close(channel.seat()),
            }
            stays
        });
        self.settle(tell);
    }

    /// Answers a RESET where that is due.
    fn settle(&mut self, tell: &mut Vec<Message>) {
        let now = Instant::now();
        let held = self.is_held();
        if let Some((reset, _)) = self.reset.take_if(|(_, until)| !held || *until <= now) {
            let status = if held { Err(Errno::TIMEDOUT) } else { Ok(()) };
            tell.push(done(&reset, status));
        }
    }

    /// As [`Self::attend`], for one channel.
    pub(crate) fn attend_one(
        &mut self,
        number: u32,
        shares: &mut Shares,
        log: &mut Log,
        tell: &mut Vec<Message>,
    ) {
        let Some(channel) = self.channels.get_mut(&number) else {
            return;
        };
        if channel.attend(log, tell) {
            shares.set_pinned(channel.seat(), channel.size().bytes);
        } else {
            shares.close(channel.seat());
            self.channels.remove(&number);
            self.settle(tell);
        }
    }

    /// Kills all workers, and waits for their ends.
    pub(crate) fn end(&mut self) {
        self.channels.values_mut().for_each(|channel| {
            let _ = channel.dismiss();
        });
        self.channels.values_mut().for_each(Channel::end);
    }
}
