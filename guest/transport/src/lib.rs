//! How a program reaches its session, whatever lies between it and the host.
//!
//! [`Transport`] is what the CUDA library is written against. [`local`] reaches
//! a daemon on the same machine; a virtual machine's driver is another.
#![forbid(unsafe_code)]

mod event;
#[cfg(feature = "host")]
mod guest;
pub mod local;
mod spin;

use std::fmt;

use vgpu_ring::{Memory, Park, Wake};

pub use event::Event;
#[cfg(feature = "host")]
pub use guest::{Guest, Interrupt};
pub use spin::{HostSpin, SpinFor};

/// The session is over: its worker ended, or the device is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the session is lost: its worker has ended")]
pub struct Lost;

/// Why a session or a region was not had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody listens.
    #[error("no vgpu daemon at {name}: {cause}; start the program with `vgpu run`")]
    NoDaemon {
        /// Where it was looked for.
        name: String,
        /// What the system said.
        cause: rustix::io::Errno,
    },
    /// There is no name in the environment, and no daemon stands by for the user.
    #[error(
        "no vgpu daemon: {variable} is not set, and no vgpud of this user runs; start the program \
         with `vgpu run`, or a daemon with `systemctl --user start vgpud`"
    )]
    NotSet {
        /// The environment's variable.
        variable: &'static str,
    },
    /// The environment says that there is to be none.
    #[error("no vgpu daemon: {variable} is `none`; start the program with `vgpu run`")]
    None {
        /// The environment's variable.
        variable: &'static str,
    },
    /// The name in the environment is none.
    #[error("{variable} is not a session's name (32 hexadecimal digits)")]
    Name {
        /// The environment's variable.
        variable: &'static str,
    },
    /// Whoever listens is another user.
    #[error("the other end of the session's socket is user {peer}, not {own}")]
    Stranger {
        /// Its user.
        peer: u32,
        /// This process's.
        own: u32,
    },
    /// Another user listens where this user's standing daemon should.
    #[error(
        "user {user} (process {process}) listens in place of this user's vgpud, at {name}, and \
         is sent nothing; have that process ended, or start the program with `vgpu run`"
    )]
    Taken {
        /// The abstract socket, as `ss -xl` shows it.
        name: String,
        /// Who does.
        user: u32,
        /// By which process.
        process: i32,
    },
    /// This user's standing daemon is there already.
    #[error("vgpud of this user runs already: process {process}")]
    Runs {
        /// Its process.
        process: i32,
    },
    /// The other end speaks another protocol, or a wrong one.
    #[error("unexpected message on the session's socket: {0}")]
    Protocol(&'static str),
    /// The host refused.
    #[error("the host refuses: {0}")]
    Refused(rustix::io::Errno),
    /// The memory cannot be mapped.
    #[error(transparent)]
    Window(#[from] vgpu_window::Error),
    /// The system refused.
    #[error("session's socket: {0}")]
    System(#[from] rustix::io::Errno),
    /// The session is over.
    #[error(transparent)]
    Lost(#[from] Lost),
}

/// More memory that the program shares with its worker.
#[derive(Clone, Debug)]
pub struct Region<M> {
    /// By what commands name it. 0 is the slice.
    pub id: u32,
    /// The memory.
    pub memory: M,
}

/// A session with a host. Its wake-up of the host ([`Wake`]) is the doorbell,
/// its sleep ([`Park`]) ends by the host's interrupt.
pub trait Transport: Wake + Park<Lost = Lost> + Send + Sync + fmt::Debug {
    /// How shared memory is seen.
    type Memory: Memory + Send + Sync + fmt::Debug;

    /// The session's slice.
    fn slice(&self) -> &Self::Memory;

    /// Shares more memory, of `size` bytes, a multiple of 4096.
    ///
    /// # Errors
    /// The host refuses so much, or the session is over.
    fn add_region(&self, size: usize) -> Result<Region<Self::Memory>, Error>;

    /// Ends the sharing of a region; the memory may go only after that.
    ///
    /// # Errors
    /// There is no such region, or the session is over.
    fn remove_region(&self, id: u32) -> Result<(), Error>;
}
