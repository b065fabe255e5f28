//! The messages on a session's socket: all of one shape, some with descriptors.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{Error, Lost};

/// What a message means.
pub(super) mod kind {
    /// From the program, first: its session ABI in `id`.
    pub(in super::super) const HELLO: u32 = 1;
    /// The answer: the slice's size, with its memory, doorbell and interrupt.
    pub(in super::super) const WELCOME: u32 = 2;
    /// From the program: wants so much memory more.
    pub(in super::super) const ADD: u32 = 3;
    /// From the program: does not want a region any more.
    pub(in super::super) const REMOVE: u32 = 4;
    /// The answer to either; with memory where some was added.
    pub(in super::super) const DONE: u32 = 5;
}

/// The most descriptors that come with a message.
const DESCRIPTORS: usize = 3;

#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub(super) struct Message {
    pub(super) kind: u32,
    /// 0, or an errno.
    pub(super) status: i32,
    /// A region, or an ABI.
    pub(super) id: u32,
    pub(super) reserved: u32,
    pub(super) size: u64,
}

impl Message {
    pub(super) fn of(kind: u32) -> Self {
        Self {
            kind,
            ..Self::default()
        }
    }

    /// Sends it, without waiting.
    pub(super) fn send(
        &self,
        socket: impl AsFd,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), Error> {
        Ok(vgpu_packet::send(socket, self, descriptors)?)
    }

    /// Waits for one.
    pub(super) fn receive(socket: impl AsFd) -> Result<(Self, Vec<OwnedFd>), Error> {
        Ok(vgpu_packet::receive(socket, DESCRIPTORS)?)
    }
}

impl From<vgpu_packet::Error> for Error {
    fn from(error: vgpu_packet::Error) -> Self {
        match error {
            vgpu_packet::Error::Gone => Lost.into(),
            vgpu_packet::Error::Size => Self::Protocol("of a wrong size"),
            vgpu_packet::Error::Descriptors => Self::Protocol("with too many descriptors"),
            vgpu_packet::Error::System(errno) => errno.into(),
        }
    }
}
