//! The device node of a guest's driver, `/dev/vgpuN`: its calls ([`vgpu_abi::ioctl`]), and nothing else.
//!
//! This is the one place that makes them. What a call reads and writes is a structure of the ABI, in whose fields any
//! bits are a value.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::ioctl::opcode::{none, read, read_write, write};
use rustix::ioctl::{Getter, NoArg, Opcode, Setter, Updater};
use vgpu_abi::ioctl::{
    self, FOREVER, GROUP, Info, KICK, REGION_ADD, REGION_DELETE, REGION_SHIFT, Region, SESSION,
    Session, WAIT, Wait,
};

const INFO_CALL: Opcode = read::<Info>(GROUP, ioctl::INFO);
const SESSION_CALL: Opcode = read_write::<Session>(GROUP, SESSION);
const ADD_CALL: Opcode = read_write::<Region>(GROUP, REGION_ADD);
const DELETE_CALL: Opcode = write::<Region>(GROUP, REGION_DELETE);
const KICK_CALL: Opcode = none(GROUP, KICK);
const WAIT_CALL: Opcode = read_write::<Wait>(GROUP, WAIT);

/// An open device node: a session, once it has a channel.
#[derive(Debug)]
pub struct Node(OwnedFd);

impl Node {
    /// Opens one.
    ///
    /// # Errors
    /// There is none, or it is not for this user.
    pub fn open(path: &Path) -> Result<Self, Errno> {
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        rustix::fs::open(path, flags, Mode::empty()).map(Self)
    }

    /// What the device is, and how its host.
    ///
    /// # Errors
    /// The device is gone, or the node is of another driver.
    pub fn info(&self) -> Result<Info, Errno> {
        // SAFETY: the driver writes an `Info`, whose size is in the call's number.
        #[allow(unsafe_code)]
        unsafe {
            rustix::ioctl::ioctl(&self.0, Getter::<INFO_CALL, Info>::new())
        }
    }

    /// Opens the file's channel, with a slice of `size` bytes; gives its number.
    ///
    /// # Errors
    /// See [`vgpu_abi::ioctl`].
    pub fn start(&self, size: u64) -> Result<u32, Errno> {
        let mut session = Session {
            size,
            ..Session::default()
        };
        // SAFETY: the driver reads and writes a `Session`, whose size is in the call's number.
        #[allow(unsafe_code)]
        unsafe {
            rustix::ioctl::ioctl(&self.0, Updater::<SESSION_CALL, Session>::new(&mut session))
        }?;
        Ok(session.channel)
    }

    /// Shares `size` bytes of the driver's memory more; gives the region's number.
    ///
    /// # Errors
    /// See [`vgpu_abi::ioctl`].
    pub fn add(&self, size: u64) -> Result<u32, Errno> {
        let mut region = Region {
            size,
            ..Region::default()
        };
        // SAFETY: the driver reads and writes a `Region`, whose size is in the call's number; of this process's memory it
        // takes none, as no address is given.
        #[allow(unsafe_code)]
        unsafe { rustix::ioctl::ioctl(&self.0, Updater::<ADD_CALL, Region>::new(&mut region)) }?;
        Ok(region.region)
    }

    /// Ends the sharing of a region.
    ///
    /// # Errors
    /// See [`vgpu_abi::ioctl`].
    pub fn delete(&self, region: u32) -> Result<(), Errno> {
        let region = Region {
            region,
            ..Region::default()
        };
        // SAFETY: the driver reads a `Region`, whose size is in the call's number.
        #[allow(unsafe_code)]
        unsafe {
            rustix::ioctl::ioctl(&self.0, Setter::<DELETE_CALL, Region>::new(region))
        }
    }

    /// Wakes the host.
    ///
    /// # Errors
    /// See [`vgpu_abi::ioctl`].
    pub fn kick(&self) -> Result<(), Errno> {
        // SAFETY: the call has no parameter.
        #[allow(unsafe_code)]
        unsafe {
            rustix::ioctl::ioctl(&self.0, NoArg::<KICK_CALL>::new())
        }
    }

    /// Waits until there were other than `interrupts` interrupts; gives how many there were.
    ///
    /// # Errors
    /// See [`vgpu_abi::ioctl`].
    pub fn wait(&self, interrupts: u64) -> Result<u64, Errno> {
        let mut wait = Wait {
            interrupts,
            timeout: FOREVER,
        };
        // SAFETY: the driver reads and writes a `Wait`, whose size is in the call's number.
        #[allow(unsafe_code)]
        unsafe { rustix::ioctl::ioctl(&self.0, Updater::<WAIT_CALL, Wait>::new(&mut wait)) }?;
        Ok(wait.interrupts)
    }

    /// Where a region lies in the file.
    #[must_use]
    pub const fn offset(region: u32) -> u64 {
        (region as u64) << REGION_SHIFT
    }
}

impl AsFd for Node {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the kernel's macros make them: direction, size, type, number (`include/uapi/asm-generic/ioctl.h`).
    #[test]
    fn calls_have_the_numbers_of_the_headers() {
        let number = |direction: u32, size: usize, call: u8| {
            direction << 30 | (size as u32) << 16 | u32::from(GROUP) << 8 | u32::from(call)
        };
        for (opcode, expected) in [
            (INFO_CALL, number(2, 32, ioctl::INFO)),
            (SESSION_CALL, number(3, 16, SESSION)),
            (ADD_CALL, number(3, 24, REGION_ADD)),
            (DELETE_CALL, number(1, 24, REGION_DELETE)),
            (KICK_CALL, number(0, 0, KICK)),
            (WAIT_CALL, number(3, 16, WAIT)),
        ] {
            assert_eq!(opcode, expected);
        }
    }

    #[test]
    fn a_node_of_another_driver_takes_no_call() {
        let node = Node::open(Path::new("/dev/null")).unwrap();
        assert_eq!(node.info().map(drop), Err(Errno::NOTTY));
        assert_eq!(node.kick(), Err(Errno::NOTTY));
        assert_eq!(node.start(4096), Err(Errno::NOTTY));
    }
}
