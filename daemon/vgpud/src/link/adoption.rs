//! A worker of a former daemon, until it is known: which process it is, which engine it has, and what it shares. Whoever has
//! its way back may be an emulator that its guest has taken over, so nothing is believed but what the kernel says.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use rustix::io::Errno;
use rustix::net::{Shutdown, shutdown};
use rustix::process::Pid;
use vgpu_abi::link::{ADOPT, DONE, HAS, Message, VERSION};
use vgpu_poll::Poll;

use super::kinds::Size;
use super::times::{ANSWERS, ENDS};
use crate::process::Process;

/// The most regions of a worker's, its slice among them.
const REGIONS: usize = 257;

#[derive(Debug)]
pub(crate) struct Adoption {
    adopt: Message,
    way: OwnedFd,
    socket: OwnedFd,
    /// Who the machine's workers are.
    user: u32,
    regions: BTreeMap<u32, Size>,
    /// Who speaks, once somebody does.
    process: Option<Pid>,
    until: Instant,
    end: Option<End>,
}

/// One that came to nothing: a worker that keeps to the rules ends.
#[derive(Debug)]
struct End {
    status: Errno,
    /// A CLOSE of the channel.
    close: Option<Message>,
}

/// A worker that is known.
#[derive(Debug)]
pub(crate) struct Met {
    pub(crate) process: Process,
    pub(crate) socket: OwnedFd,
    pub(crate) regions: BTreeMap<u32, Size>,
    /// Which engine it has, as the former daemon named that.
    pub(crate) engine: u64,
}

/// What comes of it.
#[derive(Debug)]
pub(crate) enum Step {
    Waits,
    Met(Met),
    /// Nothing: what is to be answered, to whom.
    Failed(Vec<(Message, Result<(), Errno>)>),
}

impl Adoption {
    /// Offers itself to a worker, which has to be a process of that user, by its way back.
    ///
    /// # Errors
    /// `EINVAL`: it is none. Or the worker is gone, or the system refuses.
    pub(crate) fn begin(adopt: &Message, way: OwnedFd, user: u32) -> Result<Self, Errno> {
        if !vgpu_packet::is_packet_socket(&way) {
            return Err(Errno::INVAL);
        }
        let (socket, theirs) = vgpu_packet::pair().map_err(errno)?;
        vgpu_packet::tell_senders(&socket).map_err(errno)?;
        let offer = Message {
            kind: ADOPT,
            version: VERSION,
            channel: adopt.channel,
            ..Message::default()
        };
        vgpu_packet::send(&way, &offer, &[theirs.as_fd()]).map_err(errno)?;
        Ok(Self {
            adopt: *adopt,
            way,
            socket,
            user,
            regions: BTreeMap::new(),
            process: None,
            until: Instant::now() + ANSWERS,
            end: None,
        })
    }

    pub(crate) const fn adopt(&self) -> &Message {
        &self.adopt
    }

    /// What it shares, as far as it has said.
    pub(crate) fn size(&self) -> Size {
        self.regions.values().copied().sum()
    }

    /// Who it is, once it has said something.
    pub(crate) fn process(&self) -> Option<u32> {
        self.process.map(|it| it.as_raw_pid().unsigned_abs())
    }

    pub(crate) const fn deadline(&self) -> Instant {
        self.until
    }

    /// Adds what is to be waited for.
    pub(crate) fn add_to<'a, S>(&'a self, poll: Poll<'a, S>, name: S) -> Poll<'a, S> {
        match self.end {
            None => poll.readable(name, &self.socket),
            Some(_) => poll.hung_up(name, &self.way),
        }
    }

    /// Has the worker end: it has no daemon then, nor a way to one.
    pub(crate) fn give_up(&mut self, status: Errno) {
        if self.end.is_none() {
            let _ = shutdown(&self.way, Shutdown::Write);
            let _ = shutdown(&self.socket, Shutdown::Both);
            self.until = Instant::now() + ENDS;
            self.end = Some(End {
                status,
                close: None,
            });
        }
    }

    /// The emulator has no use for the channel.
    pub(crate) fn close(&mut self, close: &Message) -> Result<(), Errno> {
        self.give_up(Errno::CANCELED);
        match &mut self.end {
            Some(end) if end.close.is_none() => {
                end.close = Some(*close);
                Ok(())
            }
            _ => Err(Errno::BUSY),
        }
    }

    /// Does what is due. It is of no use any more but while it waits.
    pub(crate) fn attend(&mut self) -> Step {
        if self.end.is_none() {
            match self.hear() {
                Ok(Some(met)) => return Step::Met(met),
                Ok(None) if self.until > Instant::now() => return Step::Waits,
                Ok(None) => self.give_up(Errno::TIMEDOUT),
                Err(status) => self.give_up(status),
            }
        }
        let gone = vgpu_poll::is_hung_up(&self.way).unwrap_or(true);
        let Some(end) = self.end.take_if(|_| gone || self.until <= Instant::now()) else {
            return Step::Waits;
        };
        let closed = end.close.map(|close| {
            let closed = if gone { Ok(()) } else { Err(Errno::TIMEDOUT) };
            (close, closed)
        });
        let failed = (self.adopt, Err(end.status));
        Step::Failed([failed].into_iter().chain(closed).collect())
    }

    /// Takes all that it has said.
    fn hear(&mut self) -> Result<Option<Met>, Errno> {
        // Each turn but the last adds a region.
        while self.regions.len() <= REGIONS {
            let received = vgpu_packet::try_receive_from::<Message>(&self.socket, 0);
            let Some((message, _, sender)) = received.map_err(errno)? else {
                return Ok(None);
            };
            // A worker is of its machine's user, and one process.
            let sender = sender.filter(|it| it.user == self.user);
            let process = sender.ok_or(Errno::PERM)?.process;
            if *self.process.get_or_insert(process) != process {
                return Err(Errno::PERM);
            }
            let known = self.regions.contains_key(&message.region);
            let first = self.regions.is_empty();
            match message.kind {
                HAS if !known && first == (message.region == 0) => {
                    self.regions.insert(message.region, Size::of(&message)?);
                }
                DONE if message.of == ADOPT && !first => {
                    return self.meet(process, message.length).map(Some);
                }
                _ => return Err(Errno::PROTO),
            }
        }
        Err(Errno::PROTO)
    }

    fn meet(&mut self, process: Pid, engine: u64) -> Result<Met, Errno> {
        let socket = self.socket.try_clone().map_err(|_| Errno::MFILE)?;
        let lives = || !vgpu_poll::is_hung_up(&self.socket).unwrap_or(true);
        Ok(Met {
            process: Process::adopt(process, lives)?,
            socket,
            regions: std::mem::take(&mut self.regions),
            engine,
        })
    }
}

fn errno(error: vgpu_packet::Error) -> Errno {
    match error {
        vgpu_packet::Error::Gone => Errno::PIPE,
        vgpu_packet::Error::System(errno) => errno,
        _ => Errno::PROTO,
    }
}
