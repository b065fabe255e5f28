//! The worker, as work reaches it.

use vgpu_window::Window;

use crate::allocations::Allocations;
use crate::callbacks::Callbacks;
use crate::connection::Connection;
use crate::pointers::Host;

/// The way to the worker, what is there, and what calls the program's functions.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) connection: Connection,
    pub(crate) allocations: Allocations<Window>,
    pub(crate) callbacks: Callbacks,
}

/// Where bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Device(u64),
    Host(Host),
}

impl Place {
    pub(crate) fn offset(self, bytes: usize) -> Self {
        match self {
            Self::Device(start) => Self::Device(start.wrapping_add(bytes as u64)),
            Self::Host(start) => Self::Host(start.offset(bytes)),
        }
    }
}

impl Worker {
    /// What an address is that may be the device's or the program's.
    pub(crate) fn place(&self, address: u64) -> Place {
        let reserved = self.connection.addresses();
        let known = reserved
            .iter()
            .any(|(first, last)| (first..last).contains(&&address));
        match known || self.allocations.find(address).is_ok() {
            true => Place::Device(address),
            false => Place::Host(Host::unified(address)),
        }
    }
}
