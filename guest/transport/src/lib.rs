//! How a program reaches its session, whatever lies between it and the host.
//!
//! [`Transport`] is what the CUDA library is written against. [`local`] reaches
//! a daemon on the same machine, [`driver`] the host of a virtual machine by
//! the driver of its device, [`attachment`] whichever of them there is.
#![forbid(unsafe_code)]

pub mod attachment;
pub mod driver;
mod error;
mod event;
#[cfg(feature = "host")]
mod guest;
pub mod local;
mod spin;

use std::fmt;

use rustix::io::Errno;
use vgpu_ring::{Memory, Park, Wake};

pub use error::{Error, Lost};
pub use event::Event;
#[cfg(feature = "host")]
pub use guest::{Guest, Interrupt};
pub use spin::{HostSpin, SpinFor};
pub use vgpu_node::Lent;

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

    /// Shares memory that the program has itself; gives the region's number. Only a driver can.
    ///
    /// # Errors
    /// This memory cannot be shared, or the session is over.
    fn lend(&self, _pages: Lent) -> Result<u32, Error> {
        Err(Error::Refused(Errno::OPNOTSUPP))
    }

    /// Ends the sharing of a region; the memory may go only after that.
    ///
    /// # Errors
    /// There is no such region, or the session is over.
    fn remove_region(&self, id: u32) -> Result<(), Error>;
}
