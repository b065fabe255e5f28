//! The driver's attachment: this machine is virtual, and its device is one of ours.

use std::fs;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::io::Errno;
use vgpu_abi::features::state;
use vgpu_node::{Lent, Node};
use vgpu_ring::layout::{SESSION_ABI, SLICE_SIZE};
use vgpu_ring::version::Half;
use vgpu_ring::{Park, Wake};
use vgpu_window::Window;

use crate::{Error, Lost, Region, Transport};

/// The first device's node.
const NODE: &str = "/dev/vgpu0";

/// A session by a driver. It ends with this process.
#[derive(Debug)]
pub struct Driver {
    node: Node,
    slice: Window,
    /// How many interrupts this process knows of: never more than there were.
    known: AtomicU64,
}

impl Driver {
    /// Whether a driver has a device.
    #[must_use]
    pub fn is_there() -> bool {
        Path::new(NODE).exists()
    }

    /// Opens a session with the host of the first device.
    ///
    /// # Errors
    /// The node is not for this user, or the host gives no session.
    pub fn open() -> Result<Self, Error> {
        Self::of(NODE)
    }

    /// The same with the host of the device whose node this is.
    ///
    /// # Errors
    /// As [`Driver::open`].
    pub fn of(node: &'static str) -> Result<Self, Error> {
        let refused = |cause| Error::Node { node, cause };
        let node = Node::open(Path::new(node)).map_err(refused)?;
        let started = node.start(SLICE_SIZE as u64);
        started.map_err(|cause| match (cause, node.info().map(|info| info.state)) {
            (Errno::NOTCONN, Ok(now)) if now != state::READY => Error::NoHost { state: now },
            _ => Error::NoSession {
                cause,
                why: why(cause),
            },
        })?;
        let slice = Window::of_device(node.as_fd(), Node::offset(0), SLICE_SIZE)?;
        greet(&slice, SESSION_ABI)?;
        Ok(Self {
            node,
            slice,
            known: AtomicU64::new(0),
        })
    }
}

/// Says which version this half speaks, and sees that the worker speaks the same: it has said so before there was a session.
fn greet(slice: &Window, own: u32) -> Result<(), Error> {
    Half::Guest.state(slice, own);
    match Half::Host.stated(slice).unwrap_or_default() {
        host if host == own => Ok(()),
        host => Err(Error::Version { host, own }),
    }
}

/// What the driver means by an error, and what mends it.
fn why(cause: Errno) -> &'static str {
    match cause {
        Errno::NOSPC => "the device has as many sessions, or as much memory, as it may have",
        Errno::PERM => {
            "the virtual machine's memory is not shared; start QEMU with memory-backend-memfd,share=on"
        }
        Errno::IO => "the host could not; see the log of vgpud there",
        Errno::NOMEM => "this machine has not as much memory free",
        _ => "see what the kernel says (dmesg)",
    }
}

/// A device of this machine that no driver has, by its address.
pub(crate) fn without_driver() -> Option<String> {
    let devices = fs::read_dir(vgpu_node::DEVICES).ok()?;
    let mut folders = devices.flatten().map(|entry| entry.path());
    let found = folders.find(|it| vgpu_node::is_device(it) && !it.join("driver").exists())?;
    Some(found.file_name()?.to_string_lossy().into_owned())
}

impl Wake for Driver {
    fn wake(&self) {
        // Where the channel is lost, whoever waits learns it.
        let _ = self.node.kick();
    }
}

impl Park for Driver {
    type Ticket = u64;
    type Lost = Lost;

    fn ticket(&self) -> u64 {
        self.known.load(Ordering::SeqCst)
    }

    fn park(&self, ticket: u64) -> Result<(), Lost> {
        match self.node.wait(ticket) {
            Ok(interrupts) => {
                self.known.fetch_max(interrupts, Ordering::SeqCst);
                Ok(())
            }
            Err(Errno::INTR) => Ok(()),
            Err(_) => Err(Lost),
        }
    }
}

impl Transport for Driver {
    type Memory = Window;

    fn slice(&self) -> &Window {
        &self.slice
    }

    fn add_region(&self, size: usize) -> Result<Region<Window>, Error> {
        let id = self.node.add(size as u64).map_err(refused)?;
        let memory = Window::of_device(self.node.as_fd(), Node::offset(id), size);
        if memory.is_err() {
            let _ = self.node.delete(id);
        }
        Ok(Region {
            id,
            memory: memory?,
        })
    }

    fn lend(&self, pages: Lent) -> Result<u32, Error> {
        self.node.lend(pages).map_err(refused)
    }

    fn remove_region(&self, id: u32) -> Result<(), Error> {
        self.node.delete(id).map_err(refused)
    }
}

fn refused(cause: Errno) -> Error {
    match cause {
        Errno::PIPE | Errno::NODEV => Lost.into(),
        other => Error::Refused(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_of_another_version_is_refused_with_what_to_do() {
        let (_, slice) = Window::create(SLICE_SIZE).unwrap();
        // Those of before say nothing.
        for (said, newer) in [
            (None, "the host"),
            (Some(4), "the host"),
            (Some(6), "guest"),
        ] {
            if let Some(version) = said {
                Half::Host.state(&slice, version);
            }
            let error = greet(&slice, 5).unwrap_err().to_string();
            assert!(error.contains("speaks version 5 of the session"), "{error}");
            let of_host = format!("the host's worker {}", said.unwrap_or(0));
            assert!(error.contains(&of_host), "{error}");
            assert!(error.contains(newer), "{error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
        assert_eq!(
            Half::Guest.stated(&slice),
            Some(5),
            "the worker hears it too"
        );
        Half::Host.state(&slice, 5);
        greet(&slice, 5).unwrap();
    }
}
