//! The device in the hands of one client, from whom it can be taken.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use vfio_user_server::{Device, DmaMap, Errno, InterruptIndex, Interrupts, Region, RegionIndex};

use crate::endpoint::Endpoint;

/// What a client's thread serves; a clone takes it away again. An access that
/// is under way then is done first, and any later one is an error: the thread
/// may have hung, and go on when another VM has the device.
#[derive(Debug, Clone)]
pub(crate) struct Held(Arc<Mutex<Option<Endpoint>>>);

impl Held {
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        Self(Arc::new(Mutex::new(Some(endpoint))))
    }

    /// Takes the device away, as if the client's thread had ended: what its guest has shared is given up.
    pub(crate) fn revoke(&self) {
        let endpoint = self.lock().take();
        if let Some(mut endpoint) = endpoint {
            endpoint.disconnected();
        }
    }

    /// Held for no longer than an access takes; where a guest's memory has to be given up first, a second at most.
    fn lock(&self) -> MutexGuard<'_, Option<Endpoint>> {
        // A panic ends the process.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Endpoint) -> Result<T, Errno>) -> Result<T, Errno> {
        self.lock().as_mut().map_or(Err(Errno::NODEV), act)
    }
}

impl Device for Held {
    fn region(&self, index: RegionIndex) -> Region {
        let region = self.with(|endpoint| Ok(endpoint.region(index)));
        region.unwrap_or(Region::ABSENT)
    }

    fn interrupt_count(&self, index: InterruptIndex) -> u16 {
        let count = self.with(|endpoint| Ok(endpoint.interrupt_count(index)));
        count.unwrap_or(0)
    }

    fn connected(&mut self, interrupts: &Interrupts) {
        // It fails where the client has left before it was served.
        let _ = self.with(|endpoint| {
            endpoint.connected(interrupts);
            Ok(())
        });
    }

    fn disconnected(&mut self) {
        let _ = self.with(|endpoint| {
            endpoint.disconnected();
            Ok(())
        });
    }

    fn read(&mut self, region: RegionIndex, offset: u64, data: &mut [u8]) -> Result<(), Errno> {
        self.with(|endpoint| endpoint.read(region, offset, data))
    }

    fn write(&mut self, region: RegionIndex, offset: u64, data: &[u8]) -> Result<(), Errno> {
        self.with(|endpoint| endpoint.write(region, offset, data))
    }

    fn reset(&mut self) -> Result<(), Errno> {
        self.with(Endpoint::reset)
    }

    fn dma_mapped(&mut self, map: &DmaMap) -> Result<(), Errno> {
        self.with(|endpoint| endpoint.dma_mapped(map))
    }

    fn dma_unmapped(&mut self, map: &DmaMap) {
        let _ = self.with(|endpoint| {
            endpoint.dma_unmapped(map);
            Ok(())
        });
    }
}
