//! The server's side of vfio-user: a PCI device in a process of its own, for
//! QEMU, Cloud Hypervisor, or any other client that is not trusted.
//!
//! # Concepts
//!
//! vfio-user is VFIO over a UNIX socket: the *client*, a virtual machine monitor, asks what Linux' VFIO would be asked for a
//! physical device (its regions, their sizes, an access, interrupts, a reset), and the *server* is the device. The client
//! decides where the device is on the VM's buses, emulates the BARs' mapping, and passes on each access that the guest makes;
//! the vCPU waits for the reply. Guest memory is shared by descriptors that the client sends ([`DmaMap`]), interrupts are
//! eventfds ([`Interrupts`]).
//!
//! Implement [`Device`], accept a UNIX stream, and call [`Connection::serve`] in a thread of its own;
//! [`Connection::stop_handle`] ends it from another. Where several clients may come, hear each one's
//! [`Connection::proposal`] first, then serve it or refuse it. There is no runtime and no global state.
//!
//! # Example
//!
//! `examples/scratch.rs`, whole: a device whose BAR0 is plain storage.
//!
//! ```no_run
#![doc = include_str!("../examples/scratch.rs")]
//! ```
//!
//! # Hostile clients
//!
//! A client can make this server neither panic, nor wait for anything but the
//! client itself, nor hold more than a fixed amount of memory and of file
//! descriptors ([`MAX_DATA`], [`MAX_FILES`], [`MAX_DMA_MAPS`],
//! [`MAX_DMA_FILES`]).
//!
//! **Let nobody wait for a connection's thread.** A descriptor that a client
//! sends may hang whoever drops the last reference to it, for hours, and that
//! is the thread itself where the kernel drops one: in a receive that has no
//! room for it, and in the close of a stream that holds unread ones. Such a
//! thread goes on by itself, late; what it has of the device should be taken
//! from it once its client has gone ([`Stop::client_has_left`]).
//!
//! # Errors and panics
//!
//! A connection that ends other than by its client's leaving tells why, as [`Broken`]. What a [`Device`] refuses by an
//! [`Errno`] goes to the client. Nothing here panics; a panic of the device's own ends the thread that serves it, and the
//! client reads the end of the stream.
//!
//! What a client asks for and may not have is answered by the reply's error
//! number:
//!
//! | asked for | error |
//! |---|---|
//! | a payload, field or flag that the protocol does not allow; an access outside its region | `EINVAL` |
//! | a command that is not offered, interrupt masking | `ENOTSUP` |
//! | a read or write that the region does not allow | `EACCES` |
//! | a DMA map over another | `EEXIST` |
//! | a DMA map of a file that is not in memory (tmpfs, memfd, hugetlbfs), or that ends before the map does | `EINVAL` |
//! | a DMA map for writing of a file that is open for reading | `EACCES` |
//! | to unmap what is not mapped | `ENOENT` |
//! | more DMA maps than [`MAX_DMA_MAPS`], in more files than [`MAX_DMA_FILES`] | `ENOSPC` |
//! | an interrupt by something else than an eventfd | `EINVAL` |
//! | more file descriptors than [`MAX_FILES`], or than the process may have | `EMFILE` |
//! | a message smaller than its header, or larger than the largest | `EMSGSIZE`, and the connection ends |
//! | another version, or a command before the version | `EINVAL`, and the connection ends |
//! | more time for a message than [`MESSAGE_LIMIT`] | the connection ends |
//!
//! # Not offered
//!
//! Commands from server to client (`DMA_READ`, `DMA_WRITE`),
//! regions that the client maps, I/O by file descriptors, migration.
//!
//! # Sources
//!
//! | what | where |
//! |---|---|
//! | messages, their order and errors | vfio-user specification, version 0.9 (QEMU, `docs/interop/vfio-user.rst`): "Message Format", "Device Initialization", "Protocol Specification" |
//! | regions, interrupts, DMA flags and their numbers | Linux `include/uapi/linux/vfio.h`: `VFIO_PCI_*_REGION_INDEX`, `VFIO_PCI_*_IRQ_INDEX`, `struct vfio_irq_set` |
//! | how many descriptors one message carries | Linux `include/net/scm.h`, `SCM_MAX_FD` |
#![forbid(unsafe_code)]
#![deny(missing_docs)]
// No value from a client may panic.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

mod close;
mod closer;
mod command;
mod connection;
mod device;
mod dma;
mod files;
mod interrupts;
mod limits;
mod memory;
mod patience;
mod receive;
mod region;
mod reply;
mod version;
mod wire;

pub use connection::{Broken, Connection, Proposal, Stop};
pub use device::Device;
pub use interrupts::{InterruptIndex, Interrupts};
pub use limits::{MAX_DATA, MAX_DMA_FILES, MAX_DMA_MAPS, MAX_FILES, MESSAGE_LIMIT, PAGE_SIZE};
pub use memory::{DmaMap, Memory};
pub use region::{Region, RegionIndex};
pub use rustix::io::Errno;
