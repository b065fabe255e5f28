//! What is between a device and its daemon.

use std::fmt;
use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use vgpu_abi::link::{Message, Piece};
use vgpu_device::HostState;

/// The way to the daemon.
pub trait Daemon: fmt::Debug + Send {
    /// Sends a message with its pieces and descriptors, without waiting.
    ///
    /// # Errors
    ///
    /// The daemon is gone, or does not take it: it is as good as gone.
    fn send(
        &mut self,
        message: &Message,
        pieces: &[Piece],
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), Errno>;
}

/// What the device has to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// [`Device::complete`](vgpu_device::Device::complete).
    Complete(u32, Result<Option<u32>, u16>),
    /// [`Device::set_host_state`](vgpu_device::Device::set_host_state), with the number of the last revocation.
    State(HostState, u32),
    /// [`Device::channel_lost`](vgpu_device::Device::channel_lost).
    Lost,
}

/// The emulator's end of a worker's way back ([`vgpu_abi::link`]). Dropped, it is given up: a worker without a daemon ends.
pub trait Way: fmt::Debug + Send {
    /// Has the worker end, unless a daemon has it.
    fn give_up(&self);

    /// Whether the worker is gone, and with it all that it had mapped.
    fn is_gone(&self) -> bool;

    /// What a daemon is lent.
    fn file(&self) -> BorrowedFd<'_>;
}
