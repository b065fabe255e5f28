//! The program's end.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;
use rustix::net::sockopt;
use vgpu_ring::layout::{SESSION, SESSION_ABI};
use vgpu_ring::{Park, Wake};
use vgpu_window::Window;

use super::message::{Message, kind};
use super::name::{Name, Stranger};
use crate::{Error, Event, Lost, Region, Transport};

/// A session with a daemon on the same machine.
#[derive(Debug)]
pub struct Local {
    /// One request at a time.
    socket: Mutex<OwnedFd>,
    /// The same socket, to see that the worker has ended.
    alive: OwnedFd,
    slice: Window,
    doorbell: Event,
    interrupt: Event,
    sleepers: Mutex<Sleepers>,
    woken: Condvar,
}

/// The threads that are parked. One of them, the leader, polls; it wakes the
/// others, as a wake-up that it takes may be theirs.
#[derive(Debug, Default)]
struct Sleepers {
    wakeups: u64,
    led: bool,
    lost: bool,
}

impl Local {
    /// Opens a session with the daemon of that name.
    ///
    /// # Errors
    /// Nobody listens there, or it is no daemon of the same user and version.
    /// Nothing was sent to another user's process.
    pub fn open(name: Name) -> Result<Self, Error> {
        let socket = name.connect()?;
        same_user(&socket, name)?;
        let hello = Message {
            id: SESSION_ABI,
            ..Message::of(kind::HELLO)
        };
        hello.send(&socket, &[])?;
        let (welcome, descriptors) = Message::receive(&socket)?;
        if let Some(error) = refusal(&welcome) {
            return Err(error);
        }
        let Ok([memory, doorbell, interrupt]) = <[OwnedFd; 3]>::try_from(descriptors) else {
            return Err(Error::Protocol("a welcome without a session"));
        };
        if welcome.kind != kind::WELCOME || welcome.id != SESSION_ABI {
            return Err(Error::Protocol("no welcome"));
        }
        let size = usize::try_from(welcome.size).ok();
        let size = size.filter(|&size| size >= SESSION.arena);
        let size = size.ok_or(Error::Protocol("a slice that is too small"))?;
        Ok(Self {
            slice: Window::map(memory.as_fd(), size)?,
            alive: socket
                .try_clone()
                .map_err(|_| Error::System(Errno::MFILE))?,
            socket: Mutex::new(socket),
            doorbell: doorbell.into(),
            interrupt: interrupt.into(),
            sleepers: Mutex::default(),
            woken: Condvar::new(),
        })
    }

    fn request(&self, request: Message) -> Result<(Message, Vec<OwnedFd>), Error> {
        let socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        request.send(&*socket, &[])?;
        let (answer, descriptors) = Message::receive(&*socket)?;
        if answer.kind != kind::DONE {
            return Err(Error::Protocol("no answer"));
        }
        refusal(&answer).map_or(Ok((answer, descriptors)), Err)
    }

    fn sleepers(&self) -> MutexGuard<'_, Sleepers> {
        self.sleepers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The error that a message states.
fn refusal(message: &Message) -> Option<Error> {
    let status = (message.status != 0).then(|| Errno::from_raw_os_error(message.status));
    status.map(Error::Refused)
}

/// Checks that the other end is the same user.
pub(super) fn same_user(socket: &OwnedFd, name: Name) -> Result<(), Error> {
    let peer = sockopt::socket_peercred(socket)?;
    let stranger = Stranger {
        user: peer.uid.as_raw(),
        process: peer.pid.as_raw_pid(),
        own: rustix::process::geteuid().as_raw(),
    };
    match stranger.user == stranger.own {
        true => Ok(()),
        false => Err(name.stranger(&stranger)),
    }
}

impl Wake for Local {
    fn wake(&self) {
        self.doorbell.wake();
    }
}

impl Park for Local {
    type Ticket = u64;
    type Lost = Lost;

    fn ticket(&self) -> u64 {
        self.sleepers().wakeups
    }

    fn park(&self, ticket: u64) -> Result<(), Lost> {
        let mut sleepers = self.sleepers();
        while sleepers.wakeups == ticket && !sleepers.lost {
            if sleepers.led {
                let woken = self.woken.wait(sleepers);
                sleepers = woken.unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            sleepers.led = true;
            drop(sleepers);
            let lost = self.interrupt.wait(&self.alive);
            sleepers = self.sleepers();
            sleepers.lost |= lost;
            sleepers.led = false;
            sleepers.wakeups += 1;
            self.woken.notify_all();
        }
        match sleepers.lost {
            true => Err(Lost),
            false => Ok(()),
        }
    }
}

impl Transport for Local {
    type Memory = Window;

    fn slice(&self) -> &Window {
        &self.slice
    }

    fn add_region(&self, size: usize) -> Result<Region<Window>, Error> {
        let request = Message {
            size: size as u64,
            ..Message::of(kind::ADD)
        };
        let (answer, descriptors) = self.request(request)?;
        let [memory] = descriptors.as_slice() else {
            return Err(Error::Protocol("a region without memory"));
        };
        Ok(Region {
            id: answer.id,
            memory: Window::map(memory.as_fd(), size)?,
        })
    }

    fn remove_region(&self, id: u32) -> Result<(), Error> {
        let request = Message {
            id,
            ..Message::of(kind::REMOVE)
        };
        self.request(request).map(|_| ())
    }
}
