//! What an emulator in dom0 needs of Xen, by the stable interfaces alone: the
//! ioctls of `/dev/xen/privcmd` and `/dev/xen/evtchn`, and xenstore's wire
//! protocol. No C library, no domctl: it works on Xen 4.13 to 4.20 with Linux
//! 4.18 and later.
//!
//! All unsafe code of the project's programs in dom0 is in this crate, in
//! [`device_model`], [`event_channel`], the mapping below them and
//! [`inherited`]; its interface is safe.

pub mod abi;
pub mod device_model;
pub mod event_channel;
pub mod guest_memory;
pub mod inherited;
mod ioctl;
pub mod ioreq;
mod mapping;
pub mod xenstore;

use std::fmt;

/// A domain's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DomainId(pub u16);

impl DomainId {
    /// The first domain, in which a host's toolstack runs, and its device emulators unless somebody wants them elsewhere.
    pub const DOM0: Self = Self(0);
}

impl fmt::Display for DomainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
