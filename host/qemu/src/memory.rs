//! The guest's memory, as QEMU has it.

use std::cell::RefCell;
use std::ffi::c_void;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::fcntl_get_seals;
use vgpu_channels::{Found, GuestMemory, Missing};

/// Whether there is memory at an address.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VgpuPresence {
    /// It is there, in a file that others can map.
    Shared,
    /// It is there, in no such file.
    Private,
    /// The guest has none there that the device may write to.
    Absent,
}

/// Memory at an address.
#[repr(C)]
#[derive(Debug, Default)]
pub struct VgpuFound {
    /// The descriptor of the file that holds it, which stays open while QEMU's big lock is held.
    pub file: i32,
    /// Where in the file the address is, in bytes.
    pub offset: u64,
    /// How many bytes follow there in a row, not 0.
    pub length: u64,
}

/// How the guest's memory is found.
#[repr(C)]
#[derive(Debug)]
pub struct VgpuMemory {
    /// What `find` takes first.
    pub opaque: *mut c_void,
    /// Finds what is at an address, and fills `found` where it is shared. Called under QEMU's big lock.
    pub find:
        extern "C" fn(opaque: *mut c_void, address: u64, found: &mut VgpuFound) -> VgpuPresence,
}

/// The same while a request is done: files are duplicated once.
#[derive(Debug)]
pub(crate) struct Memory<'a> {
    memory: &'a VgpuMemory,
    files: RefCell<Vec<(i32, Arc<OwnedFd>)>>,
}

impl<'a> Memory<'a> {
    pub(crate) fn new(memory: &'a VgpuMemory) -> Self {
        Self {
            memory,
            files: RefCell::default(),
        }
    }

    /// A file as one of the device's own; `None` where it is none in memory, which only such files have seals for (Linux,
    /// mm/memfd.c): reading another one may wait.
    fn file(&self, number: i32) -> Option<Arc<OwnedFd>> {
        let mut files = self.files.borrow_mut();
        if let Some((_, file)) = files.iter().find(|(known, _)| *known == number) {
            return Some(Arc::clone(file));
        }
        // SAFETY: C says that it is open until QEMU's big lock is released, and whoever calls into this library holds that.
        let file = unsafe { BorrowedFd::borrow_raw(number) };
        fcntl_get_seals(file).ok()?;
        let file = Arc::new(file.try_clone_to_owned().ok()?);
        files.push((number, Arc::clone(&file)));
        Some(file)
    }
}

impl GuestMemory for Memory<'_> {
    fn find(&self, address: u64) -> Result<Found, Missing> {
        let mut found = VgpuFound::default();
        let VgpuMemory { opaque, find } = *self.memory;
        match find(opaque, address, &mut found) {
            VgpuPresence::Absent => Err(Missing::NotMemory),
            VgpuPresence::Private => Err(Missing::NotShared),
            VgpuPresence::Shared => Ok(Found {
                file: self.file(found.file).ok_or(Missing::NotShared)?,
                offset: found.offset,
                length: found.length,
            }),
        }
    }
}
