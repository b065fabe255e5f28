//! A channel as the daemon sees it: a worker that it asks to map and to unmap, and that it kills.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use vgpu_abi::link::{ADD, ADOPT, DELETE, DONE, GATE, LOST, Message, OPEN, WAY};
use vgpu_poll::Poll;

use super::adoption::Met;
use super::kinds::Size;
use super::times::{ANSWERS, ENDS};
use crate::cage::Cage;
use crate::log::Log;
use crate::process::Process;
use crate::shares::{Opened, SeatId};

/// How long a worker may take until it serves: a driver below it has much to load.
const OPENS: Duration = Duration::from_secs(10);

/// A message, and the descriptors that came with it.
pub(crate) type Parcel = (Message, Vec<OwnedFd>);

#[derive(Debug)]
pub(crate) struct Channel {
    number: u32,
    process: Process,
    socket: OwnedFd,
    /// What is shared, by region.
    regions: BTreeMap<u32, Size>,
    /// What the worker has not answered yet, and until when it has to.
    asked: Option<(Message, Instant)>,
    end: Option<End>,
    /// `None` where an adopted worker may not stay.
    seat: Option<SeatId>,
    /// The emulator's end of the way back, until it has that.
    way: Option<OwnedFd>,
}

/// What the emulator is to be told.
pub(crate) type News = (Message, Option<OwnedFd>);

/// A worker that was killed, or has ended by itself.
#[derive(Debug)]
struct End {
    /// For what it has not answered.
    status: Errno,
    /// Whether the emulator wants it, and so need not be told.
    wanted: bool,
    /// A CLOSE that is not answered yet, and until when that is to be.
    close: Option<(Message, Instant)>,
}

/// The answer to a message.
pub(crate) fn done(of: &Message, status: Result<(), Errno>) -> Message {
    Message {
        kind: DONE,
        of: of.kind,
        status: status.map_or_else(|errno| errno.raw_os_error().unsigned_abs(), |()| 0),
        channel: of.channel,
        region: of.region,
        ..Message::default()
    }
}

impl Channel {
    /// Starts a worker in its machine's cage, and asks it to open the channel.
    pub(crate) fn open(
        command: &[OsString],
        page: Option<&Parcel>,
        open: &Parcel,
        size: Size,
        opened: Opened,
        cage: &Cage,
    ) -> io::Result<Self> {
        let pair = || vgpu_packet::pair().map_err(io::Error::other);
        let (socket, theirs) = pair()?;
        let (way, their_way) = pair()?;
        vgpu_packet::tell_senders(&their_way).map_err(io::Error::other)?;
        let tells_way = Message {
            kind: WAY,
            length: opened.engine,
            ..Message::default()
        };
        let user = cage.user().map(|user| user.to_string());
        let words = opened.words.into_iter().chain(user).map(OsString::from);
        let command: Vec<_> = command.iter().cloned().chain(words).collect();
        let mut process = Process::start(&command, theirs, opened.gate)?;
        // It reads what a guest wrote once it is asked to open.
        if let Err(error) = cage.admit(process.id()) {
            process.end();
            return Err(error);
        }
        let mut channel = Self {
            number: open.0.channel,
            process,
            socket,
            regions: BTreeMap::from([(0, size)]),
            asked: Some((open.0, Instant::now() + OPENS)),
            end: None,
            seat: Some(opened.seat),
            way: Some(way),
        };
        channel.send(&(tells_way, vec![their_way]));
        for parcel in page.into_iter().chain([open]) {
            channel.send(parcel);
        }
        Ok(channel)
    }

    /// Goes on with the worker of a former daemon, which gets a gate from this one, and is then the emulator's to use. Where
    /// it may not stay, it is killed, and the emulator is answered once nothing of it is mapped any more.
    pub(crate) fn adopted(adopt: Message, met: Met, opened: Result<Opened, Errno>) -> Self {
        let mut channel = Self {
            number: adopt.channel,
            process: met.process,
            socket: met.socket,
            regions: met.regions,
            asked: Some((adopt, Instant::now() + ANSWERS)),
            end: None,
            seat: opened.as_ref().ok().map(|opened| opened.seat),
            way: None,
        };
        match opened {
            Ok(opened) => {
                let gate = Message {
                    kind: GATE,
                    channel: adopt.channel,
                    ..Message::default()
                };
                channel.send(&(gate, vec![opened.gate]));
            }
            Err(status) => channel.refuse(status),
        }
        channel
    }

    /// Kills a worker that the emulator never had, who is answered once nothing of it is mapped any more.
    fn refuse(&mut self, status: Errno) {
        self.process.dismiss();
        self.end = Some(End {
            status,
            wanted: true,
            close: None,
        });
    }

    pub(crate) const fn seat(&self) -> Option<SeatId> {
        self.seat
    }

    pub(crate) fn process(&self) -> u32 {
        self.process.id()
    }

    /// Whether its worker was killed, or has ended by itself.
    pub(crate) const fn ends(&self) -> bool {
        self.end.is_some()
    }

    /// What it shares, all together.
    pub(crate) fn size(&self) -> Size {
        self.regions.values().copied().sum()
    }

    /// Asks the worker to share another region.
    pub(crate) fn add(&mut self, add: &Parcel, size: Size) -> Result<(), Errno> {
        let region = add.0.region;
        self.is_free()?;
        if region == 0 {
            return Err(Errno::INVAL);
        }
        if self.regions.contains_key(&region) {
            return Err(Errno::EXIST);
        }
        self.regions.insert(region, size);
        self.ask(add);
        Ok(())
    }

    /// Asks the worker to give a region up.
    pub(crate) fn delete(&mut self, delete: &Message) -> Result<(), Errno> {
        self.is_free()?;
        if delete.region == 0 || !self.regions.contains_key(&delete.region) {
            return Err(Errno::NOENT);
        }
        self.ask(&(*delete, Vec::new()));
        Ok(())
    }

    /// It does one thing at a time.
    fn is_free(&self) -> Result<(), Errno> {
        match (&self.end, &self.asked) {
            (Some(_), _) => Err(Errno::PIPE),
            (None, Some(_)) => Err(Errno::BUSY),
            (None, None) => Ok(()),
        }
    }

    fn ask(&mut self, parcel: &Parcel) {
        self.asked = Some((parcel.0, Instant::now() + ANSWERS));
        self.send(parcel);
    }

    fn send(&mut self, (message, descriptors): &Parcel) {
        let descriptors: Vec<_> = descriptors.iter().map(AsFd::as_fd).collect();
        if vgpu_packet::send(&self.socket, message, &descriptors).is_err() {
            self.kill(Errno::IO);
        }
    }

    /// Kills the worker, which did something wrong.
    pub(crate) fn kill(&mut self, status: Errno) {
        self.process.kill();
        self.end.get_or_insert(End {
            status,
            wanted: false,
            close: None,
        });
    }

    /// Kills the worker, as the emulator has no use for it any more.
    pub(crate) fn dismiss(&mut self) -> Result<(), Errno> {
        if self.end.as_ref().is_some_and(|end| end.close.is_some()) {
            return Err(Errno::BUSY);
        }
        self.process.dismiss();
        let end = self.end.get_or_insert(End {
            status: Errno::CANCELED,
            wanted: true,
            close: None,
        });
        end.wanted = true;
        Ok(())
    }

    /// The same, and then there is an answer.
    pub(crate) fn close(&mut self, close: &Message) -> Result<(), Errno> {
        self.dismiss()?;
        let until = Instant::now() + ENDS;
        if let Some(end) = &mut self.end {
            end.close = Some((*close, until));
        }
        Ok(())
    }

    /// When it has to be looked at, whatever comes.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.end {
            Some(end) => end.close.map(|(_, until)| until),
            None => self.asked.map(|(_, until)| until),
        }
    }

    /// Adds what is to be waited for.
    pub(crate) fn add_to<'a, S: Clone>(&'a self, poll: Poll<'a, S>, name: S) -> Poll<'a, S> {
        let lives = self.end.is_none();
        let poll = poll.readable(name.clone(), lives.then_some(&self.socket));
        self.process.add_to(poll, name)
    }

    /// Does what is due. What there is to tell the emulator goes to `tell`; gives whether there still is a worker.
    pub(crate) fn attend(&mut self, log: &mut Log, tell: &mut Vec<News>) -> bool {
        if self.end.is_none() {
            self.hear(log, tell);
        }
        if self.process.has_ended(log) {
            self.last_words(tell);
            return false;
        }
        let now = Instant::now();
        if self.end.is_none() && self.asked.is_some_and(|(_, until)| until <= now) {
            let process = self.process.id();
            log.line(format_args!("worker {process}: does not answer"));
            self.kill(Errno::TIMEDOUT);
        }
        if let Some(end) = &mut self.end
            && let Some((close, _)) = end.close.take_if(|(_, until)| *until <= now)
        {
            tell.push((done(&close, Err(Errno::TIMEDOUT)), None));
        }
        true
    }

    /// Takes the worker's answer.
    fn hear(&mut self, log: &mut Log, tell: &mut Vec<News>) {
        let answer = match vgpu_packet::try_receive::<Message>(&self.socket, 0) {
            Ok(None) => return,
            Ok(Some((answer, _))) => answer,
            Err(_) => return self.kill(Errno::IO),
        };
        let Some((asked, _)) = self.asked.take_if(|(asked, _)| is_answer(&answer, asked)) else {
            let process = self.process.id();
            log.line(format_args!("worker {process}: an answer to nothing"));
            return self.kill(Errno::IO);
        };
        let status = match answer.status {
            0 => Ok(()),
            errno => Err(Errno::from_raw_os_error(
                i32::try_from(errno.min(4095)).unwrap_or(i32::MAX),
            )),
        };
        match (asked.kind, status) {
            (OPEN | ADOPT, Err(errno)) => {
                self.asked = Some((asked, Instant::now()));
                return self.refuse(errno);
            }
            (ADD, Err(_)) | (DELETE, Ok(())) => {
                self.regions.remove(&asked.region);
            }
            _ => {}
        }
        // Only with an OPEN that went well there still is one.
        tell.push((done(&asked, status), self.way.take()));
    }

    /// What the emulator is told when the worker is gone, and with it all that was mapped.
    fn last_words(&mut self, tell: &mut Vec<News>) {
        let end = self.end.take().unwrap_or(End {
            status: Errno::IO,
            wanted: false,
            close: None,
        });
        let opened = self
            .asked
            .is_none_or(|(asked, _)| ![OPEN, ADOPT].contains(&asked.kind));
        if opened && !end.wanted {
            let lost = Message {
                kind: LOST,
                channel: self.number,
                ..Message::default()
            };
            tell.push((lost, None));
        }
        let asked = self.asked.map(|(asked, _)| done(&asked, Err(end.status)));
        let close = end.close.map(|(close, _)| done(&close, Ok(())));
        tell.extend(asked.into_iter().chain(close).map(|it| (it, None)));
    }

    /// Kills the worker, and waits for its end.
    pub(crate) fn end(&mut self) {
        self.process.end();
    }
}

fn is_answer(answer: &Message, asked: &Message) -> bool {
    // What is asked of an adopted worker is that it takes its gate.
    let kind = match asked.kind {
        ADOPT => GATE,
        kind => kind,
    };
    let of = (kind, asked.channel, asked.region);
    answer.kind == DONE && (answer.of, answer.channel, answer.region) == of
}
