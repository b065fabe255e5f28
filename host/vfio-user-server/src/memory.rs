//! A client's memory, and the files that hold it.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Weak};

use rustix::fs::{OFlags, Stat, fcntl_get_seals, fcntl_getfl, fstat};
use rustix::io::Errno;

use crate::files::Files;
use crate::limits::MAX_DMA_FILES;

/// A part of the client's memory: guest-physical addresses, unless the guest
/// has an IOMMU.
#[derive(Debug)]
#[non_exhaustive]
pub struct DmaMap {
    /// The first address.
    pub address: u64,
    /// Size in bytes, not 0; the last address is no higher than `u64::MAX`.
    pub size: u64,
    /// Whether the device may write there, not only read.
    pub writable: bool,
    /// The memory itself, to map; `None` where the client cannot share it.
    pub memory: Option<Memory>,
}

impl DmaMap {
    /// The last address.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.address.saturating_add(self.size.saturating_sub(1))
    }
}

/// Memory that a client shares.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Memory {
    /// The file that holds it, on tmpfs or hugetlbfs; many maps share one.
    ///
    /// It was long enough when the client mapped it. Unless it is sealed
    /// (`F_SEAL_SHRINK`), the client may truncate it at any time, and an access
    /// to a mapping of it then raises SIGBUS.
    pub file: Arc<OwnedFd>,
    /// Where in that file the part begins, in bytes.
    pub offset: u64,
}

/// The files of all maps, each once, for as long as a map has it.
#[derive(Debug, Default)]
pub(crate) struct MemoryFiles(Vec<(FileId, Weak<OwnedFd>)>);

/// Which file it is, and whether it may be written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
    writable: bool,
}

impl MemoryFiles {
    /// The file among `files`, if there is one, as memory of at least `end`
    /// bytes. It is left there where it is none.
    pub(crate) fn take(
        &mut self,
        files: &mut Files,
        end: u64,
        writable: bool,
    ) -> Result<Option<Arc<OwnedFd>>, Errno> {
        let Some(file) = files.iter().next() else {
            return Ok(None);
        };
        let id = check(file, end, writable)?;
        let known = self.0.iter().find(|(known, _)| *known == id);
        if let Some(known) = known.and_then(|(_, known)| known.upgrade()) {
            // It is the same file in memory, so this waits for nobody.
            drop(files.take());
            return Ok(Some(known));
        }
        self.0.retain(|(_, known)| known.strong_count() > 0);
        if self.0.len() >= MAX_DMA_FILES {
            return Err(Errno::NOSPC);
        }
        let file = files.take().map(Arc::new);
        self.0
            .extend(file.iter().map(|file| (id, Arc::downgrade(file))));
        Ok(file)
    }
}

fn check(file: &OwnedFd, end: u64, writable: bool) -> Result<FileId, Errno> {
    let file = file.as_fd();
    // Regular files in memory alone have seals (Linux, mm/memfd.c). It is asked
    // first, as the other questions may wait for whoever keeps the file.
    fcntl_get_seals(file).map_err(|_| Errno::INVAL)?;
    let mode = fcntl_getfl(file)? & OFlags::RWMODE;
    let for_both = mode == OFlags::RDWR;
    if !for_both && (writable || mode != OFlags::RDONLY) {
        return Err(Errno::ACCESS);
    }
    let Stat {
        st_dev,
        st_ino,
        st_size,
        ..
    } = fstat(file)?;
    if u64::try_from(st_size).is_ok_and(|size| size >= end) {
        Ok(FileId {
            device: st_dev,
            inode: st_ino,
            writable: for_both,
        })
    } else {
        Err(Errno::INVAL)
    }
}
