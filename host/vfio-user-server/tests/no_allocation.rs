//! An access reaches the allocator in no way.

use std::os::unix::net::UnixStream;

use vfio_user::Client;
use vfio_user_server::{
    Connection, Device, DmaMap, Errno, InterruptIndex, Interrupts, Region, RegionIndex,
};

struct Nothing;

impl Device for Nothing {
    fn region(&self, index: RegionIndex) -> Region {
        match index {
            RegionIndex::Bar0 => Region::new(4096),
            _ => Region::ABSENT,
        }
    }

    fn interrupt_count(&self, _: InterruptIndex) -> u16 {
        0
    }

    fn connected(&mut self, _: &Interrupts) {}

    fn disconnected(&mut self) {}

    fn read(&mut self, _: RegionIndex, _: u64, data: &mut [u8]) -> Result<(), Errno> {
        data.fill(0);
        Ok(())
    }

    fn write(&mut self, _: RegionIndex, _: u64, _: &[u8]) -> Result<(), Errno> {
        Ok(())
    }

    fn reset(&mut self) -> Result<(), Errno> {
        Ok(())
    }

    fn dma_mapped(&mut self, _: &DmaMap) -> Result<(), Errno> {
        Ok(())
    }

    fn dma_unmapped(&mut self, _: &DmaMap) {}
}

/// Allocations of the serving thread while a client makes this many accesses.
fn allocations(accesses: usize) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let client = std::thread::spawn(move || {
        let mut client = Client::new(&path).unwrap();
        for _ in 0..accesses {
            client.region_read(0, 0, &mut [0; 4]).unwrap();
            client.region_write(0, 0, &[0; 4]).unwrap();
            client.reset().unwrap();
        }
    });
    let stream: UnixStream = listener.accept().unwrap().0;
    let measured = allocation_counter::measure(|| {
        Connection::new(stream).serve(&mut Nothing).unwrap();
    });
    client.join().unwrap();
    measured.count_total
}

#[test]
fn accesses_allocate_nothing() {
    let none = allocations(0);
    assert!(none > 0, "the counter counts nothing");
    assert_eq!(allocations(1000), none);
}
