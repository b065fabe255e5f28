//! The messages on a session's socket: all of one shape, some with descriptors.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

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
pub(super) const DESCRIPTORS: usize = 3;

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
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(descriptors));
        }
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        match sendmsg(
            socket,
            &[IoSlice::new(self.as_bytes())],
            &mut control,
            flags,
        ) {
            Ok(_) => Ok(()),
            Err(Errno::PIPE | Errno::CONNRESET) => Err(Lost.into()),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits for one. Its descriptors are closed where they are too many.
    pub(super) fn receive(socket: impl AsFd) -> Result<(Self, Vec<OwnedFd>), Error> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut message = Self::new_zeroed();
        let received = rustix::io::retry_on_intr(|| {
            let mut into = [IoSliceMut::new(message.as_mut_bytes())];
            recvmsg(&socket, &mut into, &mut control, RecvFlags::CMSG_CLOEXEC)
        });
        let received = match received {
            Ok(received) => received,
            Err(Errno::CONNRESET) => return Err(Lost.into()),
            Err(error) => return Err(error.into()),
        };
        let mut descriptors = Vec::new();
        for part in control.drain() {
            if let RecvAncillaryMessage::ScmRights(some) = part {
                descriptors.extend(some);
            }
        }
        if received.bytes == 0 {
            return Err(Lost.into());
        }
        let cut = ReturnFlags::TRUNC | ReturnFlags::CTRUNC;
        if received.bytes != size_of::<Self>() || received.flags.intersects(cut) {
            return Err(Error::Protocol("of a wrong size"));
        }
        Ok((message, descriptors))
    }
}
