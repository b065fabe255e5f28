//! The device under test, and a server for it in a thread.

use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};

use vfio_user_server::{
    Broken, Connection, Device, DmaMap, Errno, InterruptIndex, Interrupts, Region, RegionIndex,
    Stop,
};

pub(crate) const BAR0_SIZE: usize = 4096;
pub(crate) const BAR2_SIZE: u64 = 1 << 20;
pub(crate) const MSIX_VECTORS: u16 = 4;

/// BAR0 and config space of storage; BAR2 only to read, the ROM only to write;
/// BAR5 is broken.
#[derive(Debug)]
pub(crate) struct Scratch {
    pub(crate) bar0: [u8; BAR0_SIZE],
    pub(crate) config: [u8; 256],
    pub(crate) interrupts: Option<Interrupts>,
    /// What is mapped, by first address: last address, size of the file behind it.
    pub(crate) maps: BTreeMap<u64, (u64, Option<u64>)>,
    pub(crate) resets: usize,
    pub(crate) clients: usize,
}

/// A handle to it that the test keeps.
#[derive(Debug, Clone)]
pub(crate) struct Shared(Arc<Mutex<Scratch>>);

impl Shared {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Scratch {
            bar0: [0; BAR0_SIZE],
            config: [0; 256],
            interrupts: None,
            maps: BTreeMap::new(),
            resets: 0,
            clients: 0,
        })))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Scratch> {
        self.0.lock().unwrap()
    }

    /// Serves one connection.
    pub(crate) fn serve(&self, stream: UnixStream) -> Serving {
        let connection = Connection::new(stream);
        let stop = connection.stop_handle();
        let mut device = self.clone();
        Serving {
            stop,
            thread: thread::spawn(move || connection.serve(&mut device)),
        }
    }
}

pub(crate) struct Serving {
    pub(crate) stop: Stop,
    thread: JoinHandle<Result<(), Broken>>,
}

impl Serving {
    /// How it ended.
    pub(crate) fn end(self) -> Result<(), Broken> {
        self.thread.join().expect("the server panicked")
    }
}

impl Device for Shared {
    fn region(&self, index: RegionIndex) -> Region {
        match index {
            RegionIndex::Bar0 => Region::new(BAR0_SIZE as u64),
            RegionIndex::Bar2 => Region {
                writable: false,
                ..Region::new(BAR2_SIZE)
            },
            RegionIndex::Rom => Region {
                readable: false,
                ..Region::new(16)
            },
            RegionIndex::Bar5 => Region::new(16),
            RegionIndex::Config => Region::new(256),
            _ => Region::ABSENT,
        }
    }

    fn interrupt_count(&self, index: InterruptIndex) -> u16 {
        match index {
            InterruptIndex::Msix => MSIX_VECTORS,
            _ => 0,
        }
    }

    fn connected(&mut self, interrupts: &Interrupts) {
        let mut scratch = self.lock();
        scratch.clients += 1;
        scratch.interrupts = Some(interrupts.clone());
    }

    fn disconnected(&mut self) {
        self.lock().clients -= 1;
    }

    fn read(&mut self, region: RegionIndex, offset: u64, data: &mut [u8]) -> Result<(), Errno> {
        let (scratch, offset) = (self.lock(), offset as usize);
        let storage: &[u8] = match region {
            RegionIndex::Bar0 => &scratch.bar0,
            RegionIndex::Config => &scratch.config,
            RegionIndex::Bar2 => {
                data.fill(0x22);
                return Ok(());
            }
            RegionIndex::Bar5 => return Err(Errno::IO),
            other => panic!("read of {other:?}"),
        };
        data.copy_from_slice(&storage[offset..][..data.len()]);
        Ok(())
    }

    fn write(&mut self, region: RegionIndex, offset: u64, data: &[u8]) -> Result<(), Errno> {
        let (mut scratch, offset) = (self.lock(), offset as usize);
        let storage: &mut [u8] = match region {
            RegionIndex::Bar0 => &mut scratch.bar0,
            RegionIndex::Config => &mut scratch.config,
            RegionIndex::Rom => return Ok(()),
            RegionIndex::Bar5 => return Err(Errno::NODEV),
            other => panic!("write of {other:?}"),
        };
        storage[offset..][..data.len()].copy_from_slice(data);
        Ok(())
    }

    fn reset(&mut self) -> Result<(), Errno> {
        let mut scratch = self.lock();
        scratch.resets += 1;
        scratch.bar0.fill(0);
        Ok(())
    }

    fn dma_mapped(&mut self, map: &DmaMap) -> Result<(), Errno> {
        let size = map
            .memory
            .as_ref()
            .map(|memory| rustix::fs::fstat(&memory.file).unwrap().st_size as u64);
        self.lock().maps.insert(map.address, (map.last(), size));
        Ok(())
    }

    fn dma_unmapped(&mut self, map: &DmaMap) {
        self.lock().maps.remove(&map.address);
    }
}
