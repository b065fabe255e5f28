//! A PCI device with a BAR0 of 4 KiB that is plain storage, for one client after another.
//!
//!     scratch SOCKET

use std::error::Error;
use std::os::unix::net::UnixListener;

use vfio_user_server::{
    Connection, Device, DmaMap, Errno, InterruptIndex, Interrupts, Region, RegionIndex,
};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: scratch SOCKET")?;
    serve(&UnixListener::bind(path)?, &mut Scratch::new())
}

/// Serves whoever connects. What one has written the next one finds.
pub(crate) fn serve(listener: &UnixListener, device: &mut Scratch) -> Result<(), Box<dyn Error>> {
    loop {
        let (stream, _) = listener.accept()?;
        if let Err(broken) = Connection::new(stream).serve(device) {
            eprintln!("scratch: {broken}");
        }
    }
}

/// The device.
pub(crate) struct Scratch {
    config: [u8; 256],
    bar0: [u8; 4096],
}

impl Scratch {
    /// One that nobody has touched.
    pub(crate) fn new() -> Self {
        let mut config = [0; 256];
        // Vendor and device id; a device of no class.
        config[..4].copy_from_slice(&[0x34, 0x12, 0x78, 0x56]);
        config[0x0b] = 0xff;
        Self {
            config,
            bar0: [0; 4096],
        }
    }

    /// The bytes of a region, which it has where [`Device::region`] says so.
    fn bytes(&mut self, region: RegionIndex) -> Result<&mut [u8], Errno> {
        match region {
            RegionIndex::Config => Ok(&mut self.config),
            RegionIndex::Bar0 => Ok(&mut self.bar0),
            _ => Err(Errno::INVAL),
        }
    }
}

impl Device for Scratch {
    fn region(&self, index: RegionIndex) -> Region {
        match index {
            RegionIndex::Config => Region::new(self.config.len() as u64),
            RegionIndex::Bar0 => Region::new(self.bar0.len() as u64),
            _ => Region::ABSENT,
        }
    }

    fn interrupt_count(&self, _: InterruptIndex) -> u16 {
        0
    }

    fn connected(&mut self, _: &Interrupts) {}

    fn disconnected(&mut self) {}

    fn read(&mut self, region: RegionIndex, offset: u64, data: &mut [u8]) -> Result<(), Errno> {
        // The server has seen that the access lies within the region.
        let bytes = &self.bytes(region)?[offset as usize..];
        data.copy_from_slice(&bytes[..data.len()]);
        Ok(())
    }

    fn write(&mut self, region: RegionIndex, offset: u64, data: &[u8]) -> Result<(), Errno> {
        match (region, offset) {
            // How large BAR0 is (PCI 3.0, 6.2.5.1): its lowest bits stay 0.
            (RegionIndex::Config, 0x10) if data.len() == 4 => {
                self.config[0x10] = 0;
                self.config[0x11] = data[1] & 0xf0;
                self.config[0x12..0x14].copy_from_slice(&data[2..]);
            }
            // Ids, class and header type are read-only, as are the five other BARs, which there are not.
            (RegionIndex::Config, 0..0x04 | 0x08..0x0c | 0x0e | 0x10..0x28) => {}
            _ => {
                let bytes = &mut self.bytes(region)?[offset as usize..];
                bytes[..data.len()].copy_from_slice(data);
            }
        }
        Ok(())
    }

    fn reset(&mut self) -> Result<(), Errno> {
        *self = Self::new();
        Ok(())
    }

    fn dma_mapped(&mut self, _: &DmaMap) -> Result<(), Errno> {
        Ok(())
    }

    fn dma_unmapped(&mut self, _: &DmaMap) {}
}
