//! The host's end: the daemon's listener, and what a worker offers a program.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, accept_with, bind, listen, socket_with, sockopt,
};
use vgpu_ring::layout::SESSION_ABI;
use vgpu_sandbox::Sandboxed;
use vgpu_window::Window;

use super::guest::same_user;
use super::message::{Message, kind};
use super::name::Name;
use crate::{Error, Event, Guest, Interrupt};

/// Where programs open sessions.
#[derive(Debug)]
pub struct Listener {
    socket: OwnedFd,
    name: Name,
}

impl Listener {
    /// Listens under a new name.
    ///
    /// # Errors
    /// The system refuses.
    pub fn bind() -> Result<Self, Error> {
        Self::bind_to(Name::random()?)
    }

    /// Listens under the name that all programs of this user look for.
    ///
    /// # Errors
    /// Somebody listens there already; or the system refuses.
    pub fn bind_of_user() -> Result<Self, Error> {
        let name = Name::of_user();
        Self::bind_to(name).map_err(|error| match error {
            Error::System(Errno::ADDRINUSE) => held(name).unwrap_or(error),
            error => error,
        })
    }

    fn bind_to(name: Name) -> Result<Self, Error> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        bind(&socket, &name.address()?)?;
        listen(&socket, 64)?;
        Ok(Self { socket, name })
    }

    /// By what programs find it.
    #[must_use]
    pub const fn name(&self) -> Name {
        self.name
    }

    /// Takes the next program, without waiting; `None` where there is none.
    ///
    /// # Errors
    /// It is another user's; or the system refuses.
    pub fn accept(&self) -> Result<Option<OwnedFd>, Error> {
        let socket = match accept_with(&self.socket, SocketFlags::CLOEXEC) {
            Ok(socket) => socket,
            Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        match same_user(&socket, self.name) {
            // The name is this daemon's: whoever it is has only come to it.
            Err(Error::Taken { user: peer, .. }) => {
                let own = rustix::process::geteuid().as_raw();
                Err(Error::Stranger { peer, own })
            }
            checked => checked.map(|()| Some(socket)),
        }
    }
}

/// Who listens under a name; `None` where that cannot be seen any more.
fn held(name: Name) -> Option<Error> {
    let socket = name.connect().ok()?;
    let process = sockopt::socket_peercred(&socket).ok()?.pid.as_raw_pid();
    let stranger = same_user(&socket, name).err();
    Some(stranger.unwrap_or(Error::Runs { process }))
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A session that waits for its program. It is made before the worker gives up
/// its rights, and nothing of the program is read before [`Offer::open`].
#[derive(Debug)]
pub struct Offer {
    memory: OwnedFd,
    slice: Window,
    doorbell: Event,
    interrupt: Event,
}

/// What a program asks its worker for, beside commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// A region of so many bytes.
    Add(u64),
    /// The end of a region.
    Remove(u32),
}

impl Offer {
    /// Makes the session's memory and wake-ups.
    ///
    /// # Errors
    /// The system refuses.
    pub fn new(slice_size: usize) -> Result<Self, Error> {
        let (memory, slice) = Window::create(slice_size)?;
        Ok(Self {
            memory,
            slice,
            doorbell: Event::new()?,
            interrupt: Event::new()?,
        })
    }

    /// Reads the program's greeting, and hands the session over. The slice is
    /// reached by nothing else: no byte of a program's is read outside of a
    /// sandbox.
    ///
    /// # Errors
    /// It greets in another version, or not at all.
    pub fn open(self, socket: OwnedFd, _: Sandboxed) -> Result<Session, Error> {
        let (hello, _) = Message::receive(&socket)?;
        if hello.kind != kind::HELLO || hello.id != SESSION_ABI {
            let refused = Message {
                status: Errno::PROTONOSUPPORT.raw_os_error(),
                ..Message::of(kind::WELCOME)
            };
            refused.send(&socket, &[])?;
            return Err(Error::Protocol("a greeting of another version"));
        }
        let welcome = Message {
            id: SESSION_ABI,
            size: self.slice.size() as u64,
            ..Message::of(kind::WELCOME)
        };
        let descriptors = [
            self.memory.as_fd(),
            self.doorbell.as_fd(),
            self.interrupt.as_fd(),
        ];
        welcome.send(&socket, &descriptors)?;
        let interrupt = Interrupt::new(self.interrupt);
        Ok(Session(Guest::new(
            socket,
            self.slice,
            self.doorbell,
            interrupt,
        )))
    }
}

/// A worker's end of an open session.
#[derive(Debug)]
pub struct Session(Guest);

impl Session {
    /// The program.
    #[must_use]
    pub const fn guest(&self) -> &Guest {
        &self.0
    }

    /// Waits for the program's next request.
    ///
    /// # Errors
    /// The program has ended ([`Error::Lost`]), or sent what is no request.
    pub fn request(&self) -> Result<Request, Error> {
        let (message, _) = Message::receive(self.0.peer())?;
        match message.kind {
            kind::ADD => Ok(Request::Add(message.size)),
            kind::REMOVE => Ok(Request::Remove(message.id)),
            _ => Err(Error::Protocol("no request")),
        }
    }

    /// Makes a region's memory.
    ///
    /// # Errors
    /// The size is no multiple of 4096, or the system has not so much.
    pub fn region(&self, size: usize) -> Result<(OwnedFd, Window), Error> {
        Window::create(size).map_err(|error| match error {
            vgpu_window::Error::System(errno) => errno.into(),
            other => other.into(),
        })
    }

    /// Answers that a region was added.
    ///
    /// # Errors
    /// The program has ended.
    pub fn added(&self, id: u32, memory: &OwnedFd) -> Result<(), Error> {
        let message = Message {
            id,
            ..Message::of(kind::DONE)
        };
        message.send(self.0.peer(), &[memory.as_fd()])
    }

    /// Answers a request that was done, or refused.
    ///
    /// # Errors
    /// The program has ended.
    pub fn done(&self, result: Result<(), Errno>) -> Result<(), Error> {
        let message = Message {
            status: result.map_or_else(Errno::raw_os_error, |()| 0),
            ..Message::of(kind::DONE)
        };
        message.send(self.0.peer(), &[])
    }
}
