//! Interrupts: the eventfds by which the client wants to hear of them.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, OFlags, fcntl_getfl, fcntl_setfl, fstat};
use rustix::io::Errno;
use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_SET_ACTION_MASK, VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_ACTION_TYPE_MASK,
    VFIO_IRQ_SET_ACTION_UNMASK, VFIO_IRQ_SET_DATA_BOOL, VFIO_IRQ_SET_DATA_EVENTFD,
    VFIO_IRQ_SET_DATA_NONE, VFIO_IRQ_SET_DATA_TYPE_MASK,
};

use crate::files::Files;
use crate::wire;

/// The interrupt types of a PCI device that have vectors
/// (`VFIO_PCI_*_IRQ_INDEX` of linux/vfio.h). Those of errors and of requests
/// to give a device back are for physical ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InterruptIndex {
    /// The function's pin, of which there is one.
    Intx,
    /// MSI: up to 32 vectors.
    Msi,
    /// MSI-X: up to 2048 vectors.
    Msix,
}

impl InterruptIndex {
    /// All types in the order of their numbers on the wire.
    pub const ALL: [Self; 3] = [Self::Intx, Self::Msi, Self::Msix];

    pub(crate) fn from_wire(index: u32) -> Result<Self, Errno> {
        wire::numbered(&Self::ALL, index)
    }
}

/// Raises interrupts in the client; a clone is another handle for the same
/// connection. It raises nothing once the client has left.
#[derive(Debug, Clone)]
pub struct Interrupts(Arc<Mutex<Vectors>>);

/// The eventfds of each type, by vector.
#[derive(Debug)]
struct Vectors {
    intx: Vec<Option<OwnedFd>>,
    msi: Vec<Option<OwnedFd>>,
    msix: Vec<Option<OwnedFd>>,
}

impl Vectors {
    fn of(&mut self, index: InterruptIndex) -> &mut Vec<Option<OwnedFd>> {
        match index {
            InterruptIndex::Intx => &mut self.intx,
            InterruptIndex::Msi => &mut self.msi,
            InterruptIndex::Msix => &mut self.msix,
        }
    }
}

impl Interrupts {
    /// As many of each type as `count` says; nobody hears of any yet.
    pub(crate) fn new(count: impl Fn(InterruptIndex) -> u16) -> Self {
        let none = |index| {
            let mut vectors = Vec::new();
            vectors.resize_with(count(index).into(), || None);
            vectors
        };
        Self(Arc::new(Mutex::new(Vectors {
            intx: none(InterruptIndex::Intx),
            msi: none(InterruptIndex::Msi),
            msix: none(InterruptIndex::Msix),
        })))
    }

    /// Raises the interrupt `vector` of this type. Does nothing where the
    /// client has asked for no event, and never waits.
    pub fn raise(&self, index: InterruptIndex, vector: u16) {
        if let Some(Some(event)) = self.lock().of(index).get(usize::from(vector)) {
            raise(event);
        }
    }

    /// How many interrupts of this type there are.
    pub(crate) fn count(&self, index: InterruptIndex) -> usize {
        self.lock().of(index).len()
    }

    /// Drops all events: the client has left.
    pub(crate) fn clear(&self) {
        let mut vectors = self.lock();
        for index in InterruptIndex::ALL {
            vectors.of(index).fill_with(|| None);
        }
    }

    /// What a client asks for with `SET_IRQS`.
    pub(crate) fn set(
        &self,
        request: &wire::SetIrqs,
        data: &[u8],
        files: &mut Files,
    ) -> Result<(), Errno> {
        let index = InterruptIndex::from_wire(request.index)?;
        let (kind, action) = (
            request.flags & VFIO_IRQ_SET_DATA_TYPE_MASK,
            request.flags & VFIO_IRQ_SET_ACTION_TYPE_MASK,
        );
        if kind | action != request.flags {
            return Err(Errno::INVAL);
        }
        match action {
            VFIO_IRQ_SET_ACTION_TRIGGER => {}
            // No type is announced as one that can be masked.
            VFIO_IRQ_SET_ACTION_MASK | VFIO_IRQ_SET_ACTION_UNMASK => return Err(Errno::NOTSUP),
            _ => return Err(Errno::INVAL),
        }

        let mut vectors = self.lock();
        let vectors = vectors.of(index);
        let (start, count) = (request.start as usize, request.count as usize);
        let all = start == 0 && count == 0 && kind == VFIO_IRQ_SET_DATA_NONE;
        let range = start
            .checked_add(count)
            .and_then(|end| vectors.get_mut(start..end))
            .filter(|range| all || !range.is_empty())
            .ok_or(Errno::INVAL)?;
        let data_expected = if kind == VFIO_IRQ_SET_DATA_BOOL {
            count
        } else {
            0
        };
        let files_expected = kind == VFIO_IRQ_SET_DATA_EVENTFD || files.is_empty();
        if data.len() != data_expected || !files_expected {
            return Err(Errno::INVAL);
        }
        match kind {
            VFIO_IRQ_SET_DATA_NONE if all => vectors.fill_with(|| None),
            VFIO_IRQ_SET_DATA_NONE => range.iter().flatten().for_each(raise),
            VFIO_IRQ_SET_DATA_BOOL => range
                .iter()
                .zip(data)
                .filter(|(_, wanted)| **wanted != 0)
                .filter_map(|(event, _)| event.as_ref())
                .for_each(raise),
            // Without descriptors it takes away those that were there. QEMU
            // does so before it gives the first ones.
            VFIO_IRQ_SET_DATA_EVENTFD if files.is_empty() => {
                range.fill_with(|| None);
            }
            VFIO_IRQ_SET_DATA_EVENTFD if files.len() == count => {
                files.iter().try_for_each(is_event)?;
                for (event, file) in range.iter_mut().zip(files.drain()) {
                    *event = Some(file);
                }
            }
            _ => return Err(Errno::INVAL),
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Vectors> {
        // The vectors hold no invariant that a panic could break.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds one to an eventfd. A full one says already that there is an interrupt.
fn raise(event: &OwnedFd) {
    let at_once = Timespec::default();
    let mut fds = [PollFd::new(event, PollFlags::OUT)];
    // The client shares the flag by which a write to a full one fails.
    if poll(&mut fds, Some(&at_once)) == Ok(1) {
        let _ = rustix::io::write(event, &1u64.to_ne_bytes());
    }
}

/// Sees to it that a write never blocks: on a file or a socket it could.
///
/// An eventfd has no type of file, as nothing that has a name or holds data
/// (Linux, fs/anon_inodes.c). Of the others without one, none can be written to.
fn is_event(file: &OwnedFd) -> Result<(), Errno> {
    if FileType::from_raw_mode(fstat(file)?.st_mode) != FileType::Unknown {
        return Err(Errno::INVAL);
    }
    fcntl_setfl(file, fcntl_getfl(file)? | OFlags::NONBLOCK)
}
