//! The device node of a guest's driver, `/dev/vgpuN`: its calls ([`vgpu_abi::ioctl`]); and how a device is known where no
//! driver has it.
//!
//! This is the one place that makes the calls. What a call reads and writes is a structure of the ABI, in whose fields any
//! bits are a value.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::ioctl::opcode::{none, read, read_write, write};
use rustix::ioctl::{NoArg, Opcode, Updater};
use vgpu_abi::ioctl::{
    self, FOREVER, GROUP, Info, KICK, REGION_ADD, REGION_DELETE, REGION_SHIFT, Region, SESSION,
    Session, WAIT, Wait,
};
use vgpu_abi::{ids, segment};
use zerocopy::{FromBytes, IntoBytes};

const INFO_CALL: Opcode = read::<Info>(GROUP, ioctl::INFO);
const SESSION_CALL: Opcode = read_write::<Session>(GROUP, SESSION);
const ADD_CALL: Opcode = read_write::<Region>(GROUP, REGION_ADD);
const DELETE_CALL: Opcode = write::<Region>(GROUP, REGION_DELETE);
const KICK_CALL: Opcode = none(GROUP, KICK);
const WAIT_CALL: Opcode = read_write::<Wait>(GROUP, WAIT);

/// A folder for each PCI function of this machine.
pub const DEVICES: &str = "/sys/bus/pci/devices";

/// Whether a folder of [`DEVICES`] is of a device of ours.
#[must_use]
pub fn is_device(folder: &Path) -> bool {
    let has = |file: &str, id: u16| {
        let text = std::fs::read_to_string(folder.join(file)).unwrap_or_default();
        text.trim() == format!("{id:#06x}")
    };
    has("vendor", ids::VENDOR_ID) && has("device", ids::DEVICE_ID)
}

/// Bytes of a page.
const PAGE: usize = segment::PAGE as usize;

/// Memory of this process that a driver may share with the host: whole pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lent {
    address: usize,
    size: usize,
}

impl Lent {
    /// The pages that `size` bytes from an address on lie in, and how many bytes of them come before; `None` where there are
    /// no such pages.
    ///
    /// # Safety
    /// Until the region is deleted that they become, the host reads those pages, and writes those bytes, whenever commands of
    /// this process name them: no reference that forbids that may be used meanwhile.
    #[must_use]
    #[allow(unsafe_code)]
    pub const unsafe fn new(address: usize, size: usize) -> Option<(Self, usize)> {
        let before = address % PAGE;
        let Some(end) = address.checked_add(size) else {
            return None;
        };
        let Some(end) = end.checked_next_multiple_of(PAGE) else {
            return None;
        };
        let address = address - before;
        match size > 0 && address > 0 {
            true => Some((
                Self {
                    address,
                    size: end - address,
                },
                before,
            )),
            false => None,
        }
    }
}

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

    /// Makes a call, whose number states the size of its structure.
    fn call<const NUMBER: Opcode, T: FromBytes + IntoBytes>(
        &self,
        parameters: &mut T,
    ) -> Result<(), Errno> {
        const {
            assert!(
                (NUMBER >> 16) as usize & 0x3fff == size_of::<T>(),
                "another's size"
            );
        };
        // SAFETY: the call is of this structure, as its number says.
        #[allow(unsafe_code)]
        let call = unsafe { Updater::<NUMBER, T>::new(parameters) };
        // SAFETY: the driver reads and writes no more than the structure, any bits of which are a value.
        #[allow(unsafe_code)]
        unsafe {
            rustix::ioctl::ioctl(&self.0, call)
        }
    }

    /// What the device is, and how its host.
    ///
    /// # Errors
    /// The device is gone, or the node is of another driver.
    pub fn info(&self) -> Result<Info, Errno> {
        let mut info = Info::default();
        self.call::<INFO_CALL, _>(&mut info).map(|()| info)
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
        self.call::<SESSION_CALL, _>(&mut session)?;
        Ok(session.channel)
    }

    /// Shares `size` bytes of the driver's memory more; gives the region's number.
    ///
    /// # Errors
    /// See [`vgpu_abi::ioctl`].
    pub fn add(&self, size: u64) -> Result<u32, Errno> {
        // Of this process's memory it takes none, as no address is given.
        let mut region = Region {
            size,
            ..Region::default()
        };
        self.call::<ADD_CALL, _>(&mut region)?;
        Ok(region.region)
    }

    /// Shares pages of this process; gives the region's number. It has no place in the file.
    ///
    /// # Errors
    /// See [`vgpu_abi::ioctl`].
    pub fn lend(&self, pages: Lent) -> Result<u32, Errno> {
        let mut region = Region {
            size: pages.size as u64,
            address: pages.address as u64,
            ..Region::default()
        };
        self.call::<ADD_CALL, _>(&mut region)?;
        Ok(region.region)
    }

    /// Ends the sharing of a region.
    ///
    /// # Errors
    /// See [`vgpu_abi::ioctl`].
    pub fn delete(&self, region: u32) -> Result<(), Errno> {
        let mut region = Region {
            region,
            ..Region::default()
        };
        self.call::<DELETE_CALL, _>(&mut region)
    }

    /// Wakes the host.
    ///
    /// # Errors
    /// See [`vgpu_abi::ioctl`].
    pub fn kick(&self) -> Result<(), Errno> {
        // SAFETY: the call is one without a parameter, as its number says.
        #[allow(unsafe_code)]
        let call = unsafe { NoArg::<KICK_CALL>::new() };
        // SAFETY: the driver takes nothing of this process.
        #[allow(unsafe_code)]
        unsafe {
            rustix::ioctl::ioctl(&self.0, call)
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
        self.call::<WAIT_CALL, _>(&mut wait)?;
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
    #[allow(unsafe_code)]
    fn whole_pages_are_lent() {
        // SAFETY: nobody lends these.
        let lent = |address, size| unsafe { Lent::new(address, size) };
        let pages = |address, size| Lent { address, size };
        assert_eq!(lent(0x5000, 4096), Some((pages(0x5000, 4096), 0)));
        assert_eq!(lent(0x5ffe, 3), Some((pages(0x5000, 8192), 0xffe)));
        assert_eq!(lent(0x5ffe, 2), Some((pages(0x5000, 4096), 0xffe)));
        for none in [
            (0x5000, 0),
            (0xff, 1),
            (usize::MAX - 5, 2),
            (0x5000, usize::MAX),
        ] {
            assert_eq!(lent(none.0, none.1), None, "{none:x?}");
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
