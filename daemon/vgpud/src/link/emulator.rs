//! A process that is connected, and says that it has a machine's device.

use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::sockopt::socket_peercred;
use uuid::Uuid;
use vgpu_abi::link::{ATTACH, DESCRIPTORS, Message, STATE, VERSION};
use vgpu_packet::Error;

use super::channel::News;
use super::closer::Closer;
use super::kinds;
use super::machine::Machine;
use crate::cage::Cages;
use crate::log::Log;
use crate::settings::{MachineSettings, Machines, Policy};
use crate::shares::Shares;

/// How long a connection may take to be attached.
const ATTACHES: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Emulator {
    /// `None` once it has hung up.
    socket: Option<OwnedFd>,
    pub(crate) process: i32,
    user: u32,
    machines: Machines,
    until: Instant,
    /// What it wants to attach for, while a process may still have memory of that machine.
    pub(crate) wants: Option<(Uuid, MachineSettings)>,
    pub(crate) machine: Option<Machine>,
}

impl Emulator {
    /// Whoever has connected, if it may attach for any machine at all. The error says why it may not.
    pub(crate) fn of(socket: OwnedFd, policy: &Policy) -> Result<Self, String> {
        let peer = socket_peercred(&socket).map_err(|errno| errno.to_string())?;
        let (process, user) = (peer.pid.as_raw_pid(), peer.uid.as_raw());
        let machines = policy.of_user(user);
        if machines.is_empty() {
            return Err(format!(
                "process {process} of user {user} may attach for no machine"
            ));
        }
        Ok(Self {
            socket: Some(socket),
            process,
            user,
            machines,
            until: Instant::now() + ATTACHES,
            wants: None,
            machine: None,
        })
    }

    /// The socket, where something is to be read from it.
    pub(crate) fn readable(&self) -> Option<&OwnedFd> {
        let hears = self.machine.as_ref().is_none_or(Machine::hears) && self.wants.is_none();
        self.socket.as_ref().filter(|_| hears)
    }

    /// The socket, where nothing but its end is to be seen.
    pub(crate) fn watched(&self) -> Option<&OwnedFd> {
        let reads = self.readable().is_some();
        self.socket.as_ref().filter(|_| !reads)
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.machine {
            Some(machine) => machine.deadline(),
            None => Some(self.until),
        }
    }

    /// Whether nothing is left of it.
    pub(crate) fn is_gone(&self) -> bool {
        self.socket.is_none() && !self.machine.as_ref().is_some_and(Machine::is_held)
    }

    pub(crate) const fn has_hung_up(&self) -> bool {
        self.socket.is_none()
    }

    /// Takes one message, where there is one.
    pub(crate) fn receive(
        &mut self,
        command: &[OsString],
        shares: &mut Shares,
        closer: &Closer,
        log: &mut Log,
    ) {
        let Some(socket) = self.readable() else {
            let ended = self.socket.as_ref().map(vgpu_poll::is_hung_up);
            if ended.is_some_and(|ended| ended.unwrap_or(true)) {
                self.hang_up(closer);
            }
            return;
        };
        let received = vgpu_packet::try_receive::<Message>(socket.as_fd(), DESCRIPTORS);
        let (message, descriptors) = match received {
            Ok(None) => return,
            Ok(Some(received)) => received,
            Err(Error::Gone) => return self.hang_up(closer),
            Err(error) => return self.drop_it(&error, closer, log),
        };
        let Some(machine) = &mut self.machine else {
            let attached = self.attach(&message, &descriptors);
            closer.close(descriptors);
            return match attached {
                Ok(()) => {}
                Err(why) => self.drop_it(&why, closer, log),
            };
        };
        if let Err(why) = kinds::check(&message, descriptors.len()) {
            closer.close(descriptors);
            return self.drop_it(&why, closer, log);
        }
        let answer = machine.handle(&message, descriptors, command, shares, closer);
        self.tell(answer.map(|answer| (answer, None)), closer, log);
    }

    /// Takes the first message.
    fn attach(&mut self, message: &Message, descriptors: &[OwnedFd]) -> Result<(), String> {
        if message.kind != ATTACH || !descriptors.is_empty() {
            return Err("something before it attached".to_owned());
        }
        if message.version != VERSION {
            return Err(format!("version {}, not {VERSION}", message.version));
        }
        let uuid = Uuid::from_bytes(message.machine);
        let settings = self.machines.settings(uuid);
        let settings =
            settings.ok_or_else(|| format!("machine {uuid} is not one of its user's"))?;
        self.wants = Some((uuid, settings.clone()));
        Ok(())
    }

    /// Nothing of a former emulator stands in its way any more.
    pub(crate) fn attached(
        &mut self,
        shares: &mut Shares,
        cages: &mut Cages,
        closer: &Closer,
        log: &mut Log,
    ) {
        if let Some((uuid, settings)) = self.wants.take() {
            let cage = shares
                .set_machine(uuid, &settings)
                .and_then(|()| cages.cage(uuid, &settings));
            let cage = match cage {
                Ok(cage) => cage,
                Err(error) => return self.drop_it(&error, closer, log),
            };
            self.machine = Some(Machine::new(uuid, settings.limits, cage));
            let state = Message {
                kind: STATE,
                status: 1,
                ..Message::default()
            };
            self.tell([(state, None)], closer, log);
        }
    }

    /// Does what is due of its machine: of one channel, or of all that it has.
    pub(crate) fn attend(
        &mut self,
        channel: Option<u32>,
        shares: &mut Shares,
        closer: &Closer,
        log: &mut Log,
    ) {
        let mut tell = Vec::new();
        match (&mut self.machine, channel) {
            (Some(machine), Some(number)) => machine.attend_one(number, shares, log, &mut tell),
            (Some(machine), None) => machine.attend(shares, log, &mut tell),
            (None, _) if self.socket.is_some() && self.until <= Instant::now() => {
                self.drop_it(&"it does not attach", closer, log);
            }
            (None, _) => {}
        }
        self.tell(tell, closer, log);
    }

    /// Tells it something, without waiting: who does not read is dropped.
    fn tell(&mut self, news: impl IntoIterator<Item = News>, closer: &Closer, log: &mut Log) {
        for (message, descriptor) in news {
            let Some(socket) = &self.socket else { return };
            let descriptor = descriptor.as_ref().map(AsFd::as_fd);
            match vgpu_packet::send(socket, &message, descriptor.as_slice()) {
                Ok(()) => {}
                Err(Error::Gone) => self.hang_up(closer),
                Err(Error::System(Errno::AGAIN)) => self.drop_it(&"it does not read", closer, log),
                Err(error) => self.drop_it(&error, closer, log),
            }
        }
    }

    /// Ends the connection of one that does not keep to the protocol.
    pub(crate) fn drop_it(
        &mut self,
        why: &(impl std::fmt::Display + ?Sized),
        closer: &Closer,
        log: &mut Log,
    ) {
        let (process, user) = (self.process, self.user);
        log.line(format_args!(
            "emulator {process} of user {user} is dropped: {why}"
        ));
        self.hang_up(closer);
    }

    /// The emulator is gone: so are its channels, as soon as they can be.
    fn hang_up(&mut self, closer: &Closer) {
        self.socket = None;
        self.wants = None;
        if let Some(machine) = &mut self.machine {
            machine.give_up(closer);
        }
    }
}
