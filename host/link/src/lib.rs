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
use vgpu_abi::link::{Message, Piece};
use vgpu_channels::Daemon;
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

    /// What the daemon says, if anything.
    ///
    /// # Errors
    ///
    /// It is gone, or breaks the protocol.
    pub fn receive(&self) -> Result<Option<Message>, Errno> {
        // It sends no descriptors.
        match vgpu_packet::try_receive::<Message>(&self.0, 0) {
            Ok(received) => Ok(received.map(|(message, _)| message)),
            Err(_) => Err(Errno::PROTO),
        }
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
