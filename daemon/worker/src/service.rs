//! What a worker does with commands.

use std::fmt;

use vgpu_ring::host::Answerer;
use vgpu_ring::{Header, NoRoom, Slice};
use vgpu_transport::{Guest, HostSpin, Interrupt, Lost};
use vgpu_window::Window;

use crate::Regions;

/// A command, copied out of shared memory. All of it is the program's word.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Its header.
    pub header: &'a Header,
    /// What follows the header, with zeros up to a multiple of 16.
    pub payload: &'a [u8],
}

/// The program broke the protocol, or the service cannot go on: the session
/// ends.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct Fatal {
    /// What the program's calls give from now on (a `CUresult`).
    pub status: i32,
    /// For the log.
    pub reason: String,
}

impl Fatal {
    /// `CUDA_ERROR_UNKNOWN`, which is what a program gets that breaks the
    /// protocol.
    pub const UNKNOWN: i32 = 999;

    /// `CUDA_ERROR_SYSTEM_DRIVER_MISMATCH`: the program's library and this worker are of different versions.
    pub const MISMATCH: i32 = 803;

    /// A breach of the protocol.
    pub fn protocol(reason: &(impl fmt::Display + ?Sized)) -> Self {
        Self {
            status: Self::UNKNOWN,
            reason: reason.to_string(),
        }
    }
}

impl From<NoRoom> for Fatal {
    fn from(error: NoRoom) -> Self {
        Self::protocol(&error)
    }
}

/// Serves the commands of one session, in their order.
pub trait Service {
    /// Does what a command asks for, and answers it where it wants an answer.
    ///
    /// # Errors
    /// The session is to end.
    fn handle(&mut self, request: Request<'_>, session: &Context<'_>) -> Result<(), Fatal>;

    /// The program has sent nothing for a while, and may not for long.
    fn rest(&mut self) {}
}

impl<S: Service + ?Sized> Service for Box<S> {
    fn handle(&mut self, request: Request<'_>, session: &Context<'_>) -> Result<(), Fatal> {
        (**self).handle(request, session)
    }

    fn rest(&mut self) {
        (**self).rest();
    }
}

/// What a service reaches of its session.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Answers calls, and sets the fault.
    pub answers: &'a Answerer<Window, Interrupt>,
    /// The slice, for its arena.
    pub slice: &'a Slice<Window>,
    /// The other regions.
    pub regions: &'a Regions,
    /// Who sends the commands.
    pub guest: &'a Guest,
}

impl Context<'_> {
    /// Waits until the program lets the host go on from a point of its commands, as it has to do
    /// something there itself. What it sends meanwhile waits.
    ///
    /// # Errors
    /// The program has ended.
    pub fn hold(&self, point: u64) -> Result<(), Lost> {
        self.answers.hold(point, self.guest, &mut HostSpin::new())
    }

    /// Bytes of commands that wait in the ring, as the program says: no more than the ring has.
    #[must_use]
    pub fn queued(&self) -> u64 {
        self.slice.queued()
    }

    /// Answers a call; nothing happens where the command wants no answer.
    ///
    /// # Errors
    /// The command names a slot that there is not, or the answer is too long.
    pub fn reply(&self, request: &Request<'_>, status: i32, answer: &[u8]) -> Result<(), Fatal> {
        let header = request.header;
        match header.slot {
            vgpu_ring::NO_SLOT => Ok(()),
            slot => Ok(self.answers.reply(slot, header.seq, status, answer)?),
        }
    }
}
