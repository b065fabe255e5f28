//! What a device emulator for HVM guests of Xen needs: device-model operations, the page of ioreqs, event channels and
//! xenstore.
//!
//! # Concepts
//!
//! A guest's access to PCI config space or to an address that is no RAM traps into Xen, which makes a *request* of it (an
//! ioreq) and hands it to the *ioreq server* whose range it falls into. QEMU is one; a domain may have
//! [`MAX_SERVERS`](device_model::MAX_SERVERS), each in a process of its own. A server is a page with a slot for each vCPU, an
//! event channel to each vCPU, and a set of ranges. It does not end with its process: Xen keeps it until it is destroyed, or
//! its domain is.
//!
//! | an emulator | by |
//! |---|---|
//! | opens a handle, and gives up what that can do to other domains | [`DeviceModel::open`], [`restrict`](device_model::DeviceModel::restrict) |
//! | makes a server | [`create_server`](device_model::DeviceModel::create_server) |
//! | says which accesses it gets | [`map`](device_model::DeviceModel::map) of a [`Range`](device_model::Range) |
//! | maps the page of requests | [`map_requests`](device_model::DeviceModel::map_requests), an [`IoreqPage`](ioreq::IoreqPage) |
//! | lets requests come; Xen notes the vCPUs' ports in the page now | [`set_enabled`](device_model::DeviceModel::set_enabled), [`port`](ioreq::IoreqPage::port) |
//! | connects to each vCPU | [`EventChannels::bind`](event_channel::EventChannels::bind) |
//! | waits for a request, takes it, completes it, and lets the vCPU go on | [`wait`](event_channel::EventChannels::wait) and [`unmask`](event_channel::EventChannels::unmask), [`take`](ioreq::IoreqPage::take), [`complete`](ioreq::IoreqPage::complete), [`notify`](event_channel::EventChannels::notify) |
//! | reaches guest memory, for a string instruction | [`map_guest_page`](device_model::DeviceModel::map_guest_page) |
//! | ends | [`destroy_server`](device_model::DeviceModel::destroy_server), once nothing is pending |
//!
//! **A vCPU waits for as long as its request is not completed.** An emulator that dies leaves it waiting; the next process
//! [maps](device_model::DeviceModel::map_requests) the same server's page and finds the request there, taken or not. Whoever
//! destroys a server completes what is pending before.
//!
//! # Example
//!
//! `examples/scratch-device.rs`, whole: a PCI function whose config space is plain storage.
//!
//! ```no_run
#![doc = include_str!("../examples/scratch-device.rs")]
//! ```
//!
//! # What it runs on
//!
//! dom0, or a domain that may control another, on x86-64. The interfaces are Xen's stable ones (no domctl, whose numbers
//! change from version to version), and no C library of Xen's is linked.
//!
//! | what | since |
//! |---|---|
//! | device-model operations, a restricted `/dev/xen/privcmd` and `/dev/xen/evtchn` | Linux 4.11 |
//! | [`map_requests`](device_model::DeviceModel::map_requests) (`IOCTL_PRIVCMD_MMAP_RESOURCE`) | Linux 4.18, Xen 4.11 |
//!
//! Xen 4.17 and 4.20 were tested.
//!
//! # Errors and panics
//!
//! Device-model operations and event channels fail with the [`Errno`] that Xen or Linux gives, which each
//! function names; an interrupted call is made again. [Xenstore](xenstore::Error) has errors of its own. Nothing here panics,
//! and no value of a guest's or of xenstored's is trusted: an index or an offset out of range does nothing.
//!
//! # Safety
//!
//! The interface is safe. Below it, ioctls and shared mappings are `unsafe`, in the modules
//! [`device_model`], [`event_channel`] and [`ioreq`] and two private ones. A guest may write to its own memory
//! and, through Xen, to the page of requests at any time: both are read by atomic accesses alone, and each value once.
//!
//! # Sources
//!
//! | what | where |
//! |---|---|
//! | device-model operations | Xen `xen/include/public/hvm/dm_op.h` |
//! | a request, its states and flags | Xen `xen/include/public/hvm/ioreq.h` |
//! | resources that can be mapped | Xen `xen/include/public/memory.h`, `XENMEM_acquire_resource` |
//! | the two device files | Linux `include/uapi/xen/privcmd.h`, `include/uapi/xen/evtchn.h` |
//! | xenstore | Xen `xen/include/public/io/xs_wire.h`, `docs/misc/xenstore.txt` |
//!
//! [`DeviceModel::open`]: device_model::DeviceModel::open
#![deny(missing_docs)]
// No value from a guest may panic.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

pub mod abi;
pub mod device_model;
pub mod event_channel;
pub mod guest_memory;
mod ioctl;
pub mod ioreq;
mod mapping;
pub mod xenstore;

use std::fmt;

pub use rustix::io::Errno;

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
