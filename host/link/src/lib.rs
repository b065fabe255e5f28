//! The way from a device to the daemon that serves its channels: the messages of [`vgpu_abi::link`] over a UNIX socket of
//! packets. Nothing here waits.
#![forbid(unsafe_code)]
#![deny(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::io::Errno;
use rustix::net::Shutdown;
use vgpu_abi::link::{self, Message, Piece};
use vgpu_channels::{Daemon, Way};
use vgpu_packet::sealed;

/// A connection to the daemon. Clones are the same.
#[derive(Debug, Clone)]
pub struct Link(Arc<OwnedFd>);

impl Link {
    /// Connects to the daemon that listens there.
    ///
    /// # Errors
    ///
    /// Nobody listens, or too many wait to be accepted.
    pub fn connect(path: &Path) -> Result<Self, Errno> {
        match vgpu_packet::connect(path) {
            Ok(socket) => Ok(Self::from(socket)),
            Err(vgpu_packet::Error::System(errno)) => Err(errno),
            Err(_) => Err(Errno::CONNREFUSED),
        }
    }

    /// The socket, to wait for what the daemon says.
    #[must_use]
    pub fn socket(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.0)
    }

    /// What the daemon says, if anything, and the way back that comes with it.
    ///
    /// # Errors
    ///
    /// It is gone, or breaks the protocol.
    pub fn receive(&self) -> Result<Option<Said>, Errno> {
        match vgpu_packet::try_receive::<Message>(&self.0, 1) {
            Ok(None) => Ok(None),
            Ok(Some((message, mut descriptors))) => match descriptors.pop() {
                None => Ok(Some((message, None))),
                Some(way) if opens(&message) => Ok(Some((message, Some(Box::new(WayBack(way)))))),
                Some(_) => Err(Errno::PROTO),
            },
            Err(_) => Err(Errno::PROTO),
        }
    }
}

/// What the daemon says, with the way back to a worker where it has one.
pub type Said = (Message, Option<Box<dyn Way>>);

/// Whether a channel is open.
const fn opens(message: &Message) -> bool {
    message.kind == link::DONE && message.of == link::OPEN && message.status == 0
}

/// The emulator's end of a way back ([`vgpu_abi::link`]).
#[derive(Debug)]
struct WayBack(OwnedFd);

impl Way for WayBack {
    fn give_up(&self) {
        // The worker hears of it, and hangs up as it ends.
        let _ = rustix::net::shutdown(&self.0, Shutdown::Write);
    }

    fn is_gone(&self) -> bool {
        vgpu_poll::is_hung_up(&self.0).unwrap_or(true)
    }

    fn file(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for Link {
    fn from(socket: OwnedFd) -> Self {
        Self(Arc::new(socket))
    }
}

impl Daemon for Link {
    fn send(
        &mut self,
        message: &Message,
        pieces: &[Piece],
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), Errno> {
        let list = match pieces {
            [] => None,
            pieces => Some(sealed::write(pieces)?),
        };
        let list = list.as_ref().map(AsFd::as_fd);
        let all: Vec<_> = list
            .into_iter()
            .chain(descriptors.iter().copied())
            .collect();
        vgpu_packet::send(&self.0, message, &all).map_err(|_| Errno::PIPE)
    }
}
