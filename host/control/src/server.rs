//! The server's side of the socket, driven by the loop of the process.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::fcntl_dupfd_cloexec;
use vgpu_socket::Listener;

use crate::connection::{Connection, Over};
use crate::protocol::{Error, GreetingLine, MAX_CLIENTS, Outcome, Reply};
use crate::service::Service;

/// Marks events of the listener; those of a connection carry its index.
const LISTENER: u64 = u64::MAX;

/// A control socket with its clients.
///
/// It has no thread and never waits. The process polls it, by [`AsFd`], with
/// whatever else it polls, and calls [`Server::ready`] when it is readable:
///
/// ```no_run
/// # use rustix::event::{PollFd, PollFlags, poll};
/// # fn run(service: &impl vgpu_control::Service) -> std::io::Result<()> {
/// let listener = vgpu_socket::Listener::bind("/run/vgpu/control".as_ref(), 0o600).unwrap();
/// let mut server = vgpu_control::Server::new(listener)?;
/// loop {
///     poll(&mut [PollFd::new(&server, PollFlags::IN)], None)?;
///     server.ready(service);
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Server {
    epoll: OwnedFd,
    listener: Listener,
    clients: [Option<Connection>; MAX_CLIENTS],
    /// Given up to turn a client away when the process has no other
    /// descriptor left.
    spare: Option<OwnedFd>,
}

impl Server {
    /// The permissions of the socket that a device's server listens on: it is for the user that runs it.
    pub const SOCKET_MODE: u32 = 0o600;

    /// A server for those who connect to `listener`.
    ///
    /// # Errors
    ///
    /// The process or the system has no descriptor or memory left.
    pub fn new(listener: Listener) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(
            &epoll,
            &listener,
            EventData::new_u64(LISTENER),
            EventFlags::IN,
        )?;
        let spare = fcntl_dupfd_cloexec(&epoll, 0)?;
        Ok(Self {
            epoll,
            listener,
            clients: Default::default(),
            spare: Some(spare),
        })
    }

    /// Where the server listens.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.listener.path()
    }

    /// Lets nobody connect any more; the clients stay.
    pub fn stop_listening(&self) {
        self.listener.stop_listening();
    }

    /// Takes one step, if there is one to take: a new client, or at most 512
    /// bytes of one client's requests with the replies to them. The clients
    /// take turns. What is left makes the server readable again.
    pub fn ready(&mut self, service: &(impl Service + ?Sized)) {
        match self.next_event() {
            None => {}
            Some(LISTENER) => self.accept(service),
            Some(index) => self.serve(index, service),
        }
    }

    fn next_event(&self) -> Option<u64> {
        let mut events = [MaybeUninit::uninit()];
        let at_once = Timespec::default();
        let (events, _) = epoll::wait(&self.epoll, &mut events, Some(&at_once)).ok()?;
        events.first().map(|event| event.data.u64())
    }

    fn serve(&mut self, index: u64, service: &(impl Service + ?Sized)) {
        let clients = &mut self.clients;
        let Some(slot) = usize::try_from(index).ok().and_then(|i| clients.get_mut(i)) else {
            return;
        };
        let Some(client) = slot else {
            return;
        };
        let had_unsent = client.has_unsent();
        let served = client.serve(service).and_then(|()| {
            if client.has_unsent() == had_unsent {
                return Ok(());
            }
            let data = EventData::new_u64(index);
            epoll::modify(&self.epoll, &*client, data, interest(client)).map_err(|_| Over)
        });
        if served.is_err() {
            // Closed, and so out of the epoll set.
            *slot = None;
        }
    }

    fn accept(&mut self, service: &(impl Service + ?Sized)) {
        let stream = match self.listener.accept() {
            Ok(Some(stream)) => stream,
            Ok(None) => return,
            Err(_) => return self.turn_away(),
        };
        // A client that is gone again, or that the system has no memory for.
        let _ = self.greet(stream, service);
    }

    fn greet(&mut self, stream: UnixStream, service: &(impl Service + ?Sized)) -> Result<(), Over> {
        stream.set_nonblocking(true).map_err(|_| Over)?;
        let mut client = Connection::new(stream);
        let mut slots = self.clients.iter_mut().zip(0..);
        let Some((slot, index)) = slots.find(|(slot, _)| slot.is_none()) else {
            return client.send(&Reply {
                id: None,
                outcome: Outcome::Error(Error::new(
                    format!("the server has {MAX_CLIENTS} clients already"),
                    "end one of them, then try again",
                )),
            });
        };
        client.send(&GreetingLine {
            greeting: service.greeting(),
        })?;
        let data = EventData::new_u64(index);
        epoll::add(&self.epoll, &client, data, interest(&client)).map_err(|_| Over)?;
        *slot = Some(client);
        Ok(())
    }

    /// Closes the next connection when no descriptor is left for it. It would
    /// keep the server readable, and the loop busy, for good otherwise.
    fn turn_away(&mut self) {
        self.spare = None;
        drop(self.listener.accept());
        self.spare = fcntl_dupfd_cloexec(&self.epoll, 0).ok();
    }
}

impl AsFd for Server {
    /// Readable when [`Server::ready`] has something to do.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

fn interest(client: &Connection) -> EventFlags {
    if client.has_unsent() {
        EventFlags::IN | EventFlags::OUT
    } else {
        EventFlags::IN
    }
}
