//! What outlives a serving process: a file in memory (below /run), mapped, so
//! that keeping a register costs no system call, and a killed process has kept
//! all that it did.
//!
//! A process that is killed in the middle of a change has not completed the
//! request that caused it. Whoever takes over does that request again, and so
//! the whole change.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use thiserror::Error;
use vgpu_device::{STATE_SIZE, saved_config};
use vgpu_pci::SIZE as CONFIG_SIZE;
use vgpu_runtime::Keep;
use vm_memory::{FileOffset, MmapRegion, VolatileMemory};
use xen_dm::DomainId;
use xen_dm::device_model::ServerId;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::layout::Folder;
use crate::mapping::{Journal, Mapping};

const MAGIC: [u8; 8] = *b"vgpuxen1";

/// How long the file may still be held by a process that has died, or that ends as it was never told to go on.
const RELEASE: Duration = Duration::from_millis(500);

/// The beginning of the file.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Head {
    magic: [u8; 8],
    server: u16,
    devices: u16,
    pad: [u8; 4],
}

impl Head {
    /// That of a whole file.
    fn read(mut file: &File) -> Result<Self, KeptError> {
        let mut bytes = [0; size_of::<Self>()];
        file.read_exact(&mut bytes)?;
        let head = Self::read_from_bytes(&bytes).map_err(|_| KeptError::Format)?;
        let size = file_size(head.devices.into()) as u64;
        if head.magic != MAGIC || file.metadata()?.len() != size {
            return Err(KeptError::Format);
        }
        Ok(head)
    }
}

/// What follows for each device.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Entry {
    /// First and last address, both 0 for none.
    old: [u64; 2],
    new: [u64; 2],
    state: [u8; STATE_SIZE],
}

// A file that an earlier version of this program has made for a running guest has entries of this size, and none says so.
const _: () = assert!(
    STATE_SIZE == 1296,
    "with another size, `Head::pad` gets it (0 stands for this one), and `Kept::open` a way to make the file anew"
);

const STATE_OFFSET: usize = std::mem::offset_of!(Entry, state);

/// The file cannot be used.
#[derive(Debug, Error)]
pub enum KeptError {
    /// It cannot be made, opened or mapped.
    #[error("the file of kept registers: {0}")]
    File(#[from] io::Error),
    /// It cannot be mapped.
    #[error("the file of kept registers cannot be mapped: {0}")]
    Map(String),
    /// Another process answers for the devices.
    #[error("another process has the file of kept registers")]
    Held,
    /// It is another's, or damaged.
    #[error("the file of kept registers is not one of this program")]
    Format,
}

/// A device as it was kept, for who looks from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its config space, as its guest reads it.
    pub config: [u32; CONFIG_SIZE / 4],
    /// The addresses of the guest at which Xen sends accesses to BAR0 here.
    pub mapped: Option<Range<u64>>,
}

/// Where the emulator of a domain keeps its devices, while it runs.
#[must_use]
pub fn kept_path(domain: DomainId) -> PathBuf {
    Folder::of(domain).kept()
}

/// The devices in the bytes of such a file, in the order of their numbers.
///
/// # Errors
///
/// It is another program's, or damaged.
pub fn seen(bytes: &[u8]) -> Result<Vec<Seen>, KeptError> {
    let (head, rest) = Head::read_from_prefix(bytes).map_err(|_| KeptError::Format)?;
    let (entries, _) = <[Entry]>::ref_from_prefix_with_elems(rest, head.devices.into())
        .map_err(|_| KeptError::Format)?;
    if head.magic != MAGIC {
        return Err(KeptError::Format);
    }
    let seen = |entry: &Entry| {
        Ok(Seen {
            config: saved_config(&entry.state).map_err(|_| KeptError::Format)?,
            mapped: from_pair(entry.new),
        })
    };
    entries.iter().map(seen).collect()
}

/// The file, mapped.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    region: Arc<MmapRegion>,
    devices: usize,
}

impl Kept {
    /// Makes the file, or makes it anew where nobody has it [open](Self::open), for a server whose devices are in these states.
    pub(crate) fn create(
        path: &Path,
        server: ServerId,
        states: &[[u8; STATE_SIZE]],
    ) -> Result<Self, KeptError> {
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)?;
        let size = file_size(states.len());
        // Memory for all of it, now: a write to the mapping must not fail.
        rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, size as u64)
            .map_err(io::Error::from)?;
        let kept = Self::map(file, states.len())?;
        for (device, state) in states.iter().enumerate() {
            kept.write(kept.entry(device), Entry::new_zeroed_with(state).as_bytes());
        }
        let head = Head {
            magic: MAGIC,
            server: server.0,
            devices: states.len() as u16, // at most 32
            pad: [0; 4],
        };
        kept.write(0, head.as_bytes());
        Ok(kept)
    }

    /// Whether a process has the file [open](Self::open). A missing one nobody has.
    pub(crate) fn is_held(path: &Path) -> io::Result<bool> {
        match File::open(path) {
            Ok(file) => match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => Ok(false),
                Err(Errno::WOULDBLOCK) => Ok(true),
                Err(errno) => Err(errno.into()),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether there is a file for this server, with so many devices.
    pub(crate) fn is_for(path: &Path, server: ServerId, devices: usize) -> bool {
        let head = File::open(path).map_err(KeptError::from);
        let head = head.and_then(|file| Head::read(&file));
        head.is_ok_and(|head| head.server == server.0 && usize::from(head.devices) == devices)
    }

    /// Opens a file that was made, and holds it for as long as the mapping is there: nobody else opens it then. One that
    /// has just died is waited for.
    pub(crate) fn open(path: &Path) -> Result<(Self, ServerId), KeptError> {
        let file = File::options().read(true).write(true).open(path)?;
        let deadline = Instant::now().checked_add(RELEASE);
        while let Err(errno) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
            match errno {
                Errno::WOULDBLOCK if deadline.is_some_and(|it| Instant::now() < it) => {
                    thread::sleep(Duration::from_millis(2));
                }
                Errno::WOULDBLOCK => return Err(KeptError::Held),
                errno => return Err(io::Error::from(errno).into()),
            }
        }
        let head = Head::read(&file)?;
        Ok((Self::map(file, head.devices.into())?, ServerId(head.server)))
    }

    fn map(file: File, devices: usize) -> Result<Self, KeptError> {
        let region = MmapRegion::from_file(FileOffset::new(file, 0), file_size(devices))
            .map_err(|error| KeptError::Map(error.to_string()))?;
        Ok(Self {
            region: Arc::new(region),
            devices,
        })
    }

    /// The state that a device was left in, and its mappings.
    pub(crate) fn device(&self, device: usize) -> ([u8; STATE_SIZE], Mapping) {
        let mut bytes = [0u8; size_of::<Entry>()];
        if device < self.devices
            && let Ok(slice) = self.region.get_slice(self.entry(device), bytes.len())
        {
            slice.copy_to(&mut bytes);
        }
        let entry: Entry = zerocopy::transmute!(bytes);
        let mapping = Mapping {
            old: from_pair(entry.old),
            new: from_pair(entry.new),
        };
        (entry.state, mapping)
    }

    /// Keeps a device's state from now on.
    pub(crate) fn keeper(&self, device: usize) -> Keeper {
        Keeper {
            kept: self.clone(),
            entry: self.entry(device),
        }
    }

    fn entry(&self, device: usize) -> usize {
        size_of::<Head>().saturating_add(device.saturating_mul(size_of::<Entry>()))
    }

    fn write(&self, offset: usize, bytes: &[u8]) {
        // The offsets are those of the file's own layout.
        if let Ok(slice) = self.region.get_slice(offset, bytes.len()) {
            slice.copy_from(bytes);
        }
    }
}

/// Writes what one device is to keep.
#[derive(Debug)]
pub(crate) struct Keeper {
    kept: Kept,
    entry: usize,
}

impl Keep for Keeper {
    fn keep(&mut self, offset: usize, part: &[u8]) {
        let state = self.entry.saturating_add(STATE_OFFSET);
        self.kept.write(state.saturating_add(offset), part);
    }
}

impl Journal for Keeper {
    fn note(&mut self, mapping: &Mapping) {
        let pairs = [to_pair(mapping.old.as_ref()), to_pair(mapping.new.as_ref())];
        self.kept.write(self.entry, pairs.as_bytes());
    }
}

impl Entry {
    fn new_zeroed_with(state: &[u8; STATE_SIZE]) -> Self {
        Self {
            old: [0; 2],
            new: [0; 2],
            state: *state,
        }
    }
}

fn file_size(devices: usize) -> usize {
    size_of::<Head>().saturating_add(devices.saturating_mul(size_of::<Entry>()))
}

fn to_pair(range: Option<&Range<u64>>) -> [u64; 2] {
    range.map_or([0, 0], |range| [range.start, range.end])
}

fn from_pair([start, end]: [u64; 2]) -> Option<Range<u64>> {
    (start < end).then_some(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use vgpu_device::{Device, DeviceConfig};
    use vgpu_pci::capability::PortType;

    #[test]
    fn a_file_has_one_process_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept");
        assert!(!Kept::is_held(&path).unwrap(), "a missing one");
        assert!(!Kept::is_for(&path, ServerId(3), 1), "a missing one");
        drop(Kept::create(&path, ServerId(3), &[[0; STATE_SIZE]]).unwrap());
        assert!(!Kept::is_held(&path).unwrap());
        let (kept, _) = Kept::open(&path).unwrap();
        assert!(Kept::is_held(&path).unwrap());
        assert!(matches!(Kept::open(&path), Err(KeptError::Held)));
        // It dies while the next one waits.
        let ends = thread::spawn(move || {
            thread::sleep(RELEASE / 5);
            drop(kept);
        });
        let (_kept, server) = Kept::open(&path).unwrap();
        ends.join().unwrap();
        assert_eq!(server, ServerId(3));
        assert!(Kept::is_for(&path, server, 1));
        assert!(!Kept::is_for(&path, server, 2) && !Kept::is_for(&path, ServerId(2), 1));
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(100)
            .unwrap();
        assert!(!Kept::is_for(&path, server, 1), "a damaged one");
    }

    #[test]
    fn who_looks_sees_what_was_kept() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let device = Device::new(
            &DeviceConfig::default(),
            PortType::RootComplexIntegratedEndpoint,
        );
        let state = device.save();
        let kept = Kept::create(file.path(), ServerId(3), &[state, state]).unwrap();
        let mapping = Mapping {
            old: None,
            new: Some(0xf000_0000..0xf000_1000),
        };
        kept.keeper(1).note(&mapping);

        let bytes = std::fs::read(file.path()).unwrap();
        let devices = seen(&bytes).unwrap();
        assert_eq!(devices[0].mapped, None);
        assert_eq!(devices[1].mapped, mapping.new);
        assert_eq!(devices[1].config[0], 0x1111_1af4);
        assert_eq!(devices.len(), 2);

        for (what, bytes) in [("cut", &bytes[..100]), ("other", &[b'x'; 4096][..])] {
            assert!(seen(bytes).is_err(), "{what}");
        }
    }
}
