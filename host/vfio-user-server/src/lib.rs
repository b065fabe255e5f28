//! The server's side of vfio-user: a PCI device in a process of its own, for
//! QEMU, Cloud Hypervisor, or any other client that is not trusted.
//!
//! Implement [`Device`], accept a UNIX stream, and call
//! [`Connection::serve`] in a thread of its own; [`Connection::stop_handle`]
//! ends it from another. Where several clients may come, hear each one's
//! [`Connection::proposal`] first, then serve it or refuse it. There is no
//! runtime, no global state, and no code that is unsafe.
//!
//! ```no_run
//! use std::os::unix::net::UnixListener;
//! use vfio_user_server::{Connection, Device, Errno, Region, RegionIndex};
//!
//! struct Scratch([u8; 256]);
//!
//! impl Device for Scratch {
//!     fn region(&self, index: RegionIndex) -> Region {
//!         match index {
//!             RegionIndex::Config => Region::new(self.0.len() as u64),
//!             _ => Region::ABSENT,
//!         }
//!     }
//!     fn read(&mut self, _: RegionIndex, offset: u64, data: &mut [u8]) -> Result<(), Errno> {
//!         data.copy_from_slice(&self.0[offset as usize..][..data.len()]);
//!         Ok(())
//!     }
//!     fn write(&mut self, _: RegionIndex, offset: u64, data: &[u8]) -> Result<(), Errno> {
//!         self.0[offset as usize..][..data.len()].copy_from_slice(data);
//!         Ok(())
//!     }
//!     fn reset(&mut self) -> Result<(), Errno> {
//!         self.0.fill(0);
//!         Ok(())
//!     }
//! }
//!
//! let listener = UnixListener::bind("/run/scratch.sock")?;
//! let (stream, _) = listener.accept()?;
//! Connection::new(stream).serve(&mut Scratch([0; 256]))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
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
//! Not offered: commands from server to client (`DMA_READ`, `DMA_WRITE`),
//! regions that the client maps, I/O by file descriptors, migration.
//!
//! Source: vfio-user specification (QEMU, `docs/interop/vfio-user.rst`),
//! linux/vfio.h.
#![forbid(unsafe_code)]
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
mod reply;
mod version;
mod wire;

pub use connection::{Broken, Connection, Proposal, Stop};
pub use device::{Device, InterruptIndex, Region, RegionIndex};
pub use dma::DmaMap;
pub use interrupts::Interrupts;
pub use limits::{MAX_DATA, MAX_DMA_FILES, MAX_DMA_MAPS, MAX_FILES, MESSAGE_LIMIT, PAGE_SIZE};
pub use memory::Memory;
pub use rustix::io::Errno;
