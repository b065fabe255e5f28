//! A guest's memory, as the attachment has it, and parts of it as workers map them.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use vgpu_abi::link::Piece;

/// Why an address cannot be shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// The guest has no memory there that the device may write to.
    NotMemory,
    /// It has, but not in a file that another process could map.
    NotShared,
}

/// Memory at an address of the guest's.
#[derive(Debug, Clone)]
pub struct Found {
    /// The file that holds it.
    pub file: Arc<OwnedFd>,
    /// Where in the file the address is, in bytes.
    pub offset: u64,
    /// How many bytes follow there in a row, not 0.
    pub length: u64,
}

/// The guest's memory.
pub trait GuestMemory {
    /// What is at an address. Must not wait.
    ///
    /// # Errors
    ///
    /// There is nothing that can be shared.
    fn find(&self, address: u64) -> Result<Found, Missing>;

    /// Copies what is at an address, all of `into`, from memory that lies in a row; tells whether it could.
    fn read(&self, address: u64, into: &mut [u8]) -> bool {
        let Ok(found) = self.find(address) else {
            return false;
        };
        let enough = found.length >= into.len() as u64;
        // Never by a mapping: the file may be cut off.
        enough && rustix::io::pread(&*found.file, &mut *into, found.offset) == Ok(into.len())
    }
}

/// Memory for a worker to map: pieces of files, one after the other.
#[derive(Debug, Default)]
pub struct Shared {
    /// The files, each once.
    pub files: Vec<Arc<OwnedFd>>,
    /// The pieces; neighbours are joined.
    pub pieces: Vec<Piece>,
}

impl Shared {
    /// Adds memory at the end; `None` where it would be in too many files.
    pub(crate) fn push(&mut self, found: &Found, length: u64, most_files: usize) -> Option<()> {
        let known = self
            .files
            .iter()
            .position(|it| Arc::ptr_eq(it, &found.file));
        let file = match known {
            Some(file) => file,
            None if self.files.len() < most_files => {
                self.files.push(Arc::clone(&found.file));
                self.files.len().checked_sub(1)?
            }
            None => return None,
        };
        let file = u32::try_from(file).ok()?;
        if let Some(last) = self.pieces.last_mut()
            && last.file == file
            && last.offset.checked_add(last.length) == Some(found.offset)
        {
            last.length = last.length.saturating_add(length);
            return Some(());
        }
        self.pieces.push(Piece {
            offset: found.offset,
            length,
            file,
            reserved: 0,
        });
        Some(())
    }
}
