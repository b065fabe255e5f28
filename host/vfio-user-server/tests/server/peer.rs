//! A client of another make: the one that Cloud Hypervisor uses.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixListener;

use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{MemfdFlags, memfd_create};
use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_DATA_EVENTFD, VFIO_IRQ_SET_DATA_NONE,
};
use vfio_user::Client;
use vfio_user_server::InterruptIndex;

use crate::scratch::{BAR0_SIZE, BAR2_SIZE, MSIX_VECTORS, Serving, Shared};

const BAR0: u32 = 0;
const CONFIG: u32 = 7;
const MSIX: u32 = 2;

fn client(device: &Shared) -> (Client, Serving) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let connecting = std::thread::spawn(move || Client::new(&path).unwrap());
    let serving = device.serve(listener.accept().unwrap().0);
    (connecting.join().unwrap(), serving)
}

#[test]
fn it_finds_the_regions_and_reaches_them() {
    let device = Shared::new();
    let (mut client, serving) = client(&device);
    let sizes: Vec<_> = (0..9).map(|i| client.region(i).unwrap().size).collect();
    let bar0 = BAR0_SIZE as u64;
    assert_eq!(sizes, [bar0, 0, BAR2_SIZE, 0, 0, 16, 16, 256, 0]);
    let flags: Vec<_> = (0..9).map(|i| client.region(i).unwrap().flags).collect();
    assert_eq!(flags, [3, 0, 1, 0, 0, 3, 2, 3, 0]);

    for (region, offset) in [(BAR0, 0), (BAR0, bar0 - 8), (CONFIG, 0x10)] {
        client
            .region_write(region, offset, &offset.to_ne_bytes())
            .unwrap();
        let mut data = [0xff; 8];
        client.region_read(region, offset, &mut data).unwrap();
        assert_eq!(data, offset.to_ne_bytes());
    }
    let mut all = [0; 256];
    client.region_read(CONFIG, 0, &mut all).unwrap();
    assert_eq!(all[..], device.lock().config);

    client.reset().unwrap();
    assert_eq!(device.lock().resets, 1);
    assert_eq!(device.lock().bar0, [0; BAR0_SIZE]);

    drop(client);
    assert_eq!(serving.end(), Ok(()));
    assert_eq!(device.lock().clients, 0);
}

#[test]
fn its_memory_is_mapped_until_it_is_unmapped() {
    let device = Shared::new();
    let (mut client, serving) = client(&device);
    let memory = File::from(memfd_create("guest", MemfdFlags::CLOEXEC).unwrap());
    memory.set_len(0x5000).unwrap();
    let fd = memory.as_raw_fd();
    client.dma_map(0, 0x10000, 0x4000, fd).unwrap();
    client.dma_map(0x4000, 0x14000, 0x1000, fd).unwrap();
    let (first, second) = (
        (0x10000, (0x13fff, Some(0x5000))),
        (0x14000, (0x14fff, Some(0x5000))),
    );
    assert_eq!(device.lock().maps, [first, second].into());
    client.dma_unmap(0x10000, 0x4000).unwrap();
    assert_eq!(device.lock().maps, [second].into());
    // What is left goes with the client.
    drop(client);
    assert_eq!(serving.end(), Ok(()));
    assert!(device.lock().maps.is_empty());
}

#[test]
fn its_eventfds_hear_of_interrupts() {
    let device = Shared::new();
    let (mut client, serving) = client(&device);
    let counts = [0, 1, MSIX].map(|i| client.get_irq_info(i).unwrap().count);
    assert_eq!(counts, [0, 0, MSIX_VECTORS.into()]);

    let events = [(), ()].map(|()| eventfd(0, EventfdFlags::CLOEXEC).unwrap());
    let fds = events.each_ref().map(AsRawFd::as_raw_fd);
    let trigger = VFIO_IRQ_SET_ACTION_TRIGGER;
    let by_eventfd = VFIO_IRQ_SET_DATA_EVENTFD | trigger;
    // QEMU's way: none at first, then some.
    client.set_irqs(MSIX, by_eventfd, 0, 1, &[]).unwrap();
    client.set_irqs(MSIX, by_eventfd, 1, 2, &fds).unwrap();

    let heard = || {
        events.each_ref().map(|event| {
            let mut count = [0; 8];
            match rustix::io::read(event, &mut count) {
                Ok(8) => u64::from_ne_bytes(count),
                _ => 0,
            }
        })
    };
    let interrupts = device.lock().interrupts.clone().unwrap();
    for vector in 0..=MSIX_VECTORS {
        interrupts.raise(InterruptIndex::Msix, vector);
        interrupts.raise(InterruptIndex::Intx, vector);
    }
    interrupts.raise(InterruptIndex::Msix, 2);
    assert_eq!(heard(), [1, 2]);

    // The client can raise them itself, and take its eventfds back.
    client
        .set_irqs(MSIX, VFIO_IRQ_SET_DATA_NONE | trigger, 0, 3, &[])
        .unwrap();
    assert_eq!(heard(), [1, 1]);
    client.set_irqs(MSIX, by_eventfd, 1, 1, &[]).unwrap();
    interrupts.raise(InterruptIndex::Msix, 1);
    interrupts.raise(InterruptIndex::Msix, 2);
    assert_eq!(heard(), [0, 1]);
    client
        .set_irqs(MSIX, VFIO_IRQ_SET_DATA_NONE | trigger, 0, 0, &[])
        .unwrap();
    interrupts.raise(InterruptIndex::Msix, 2);
    assert_eq!(heard(), [0, 0]);

    client.set_irqs(MSIX, by_eventfd, 1, 2, &fds).unwrap();
    drop(client);
    assert_eq!(serving.end(), Ok(()));
    // The handle outlives the client, and does nothing any more.
    interrupts.raise(InterruptIndex::Msix, 1);
    assert_eq!(heard(), [0, 0]);
}

/// An eventfd that is full, or a pipe, must not make the device wait.
#[test]
fn a_full_eventfd_does_not_block() {
    let device = Shared::new();
    let (mut client, serving) = client(&device);
    let event = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
    rustix::io::write(&event, &(u64::MAX - 1).to_ne_bytes()).unwrap();
    let flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
    let fds = [event.as_raw_fd()];
    client.set_irqs(MSIX, flags, 0, 1, &fds).unwrap();
    let interrupts = device.lock().interrupts.clone().unwrap();
    interrupts.raise(InterruptIndex::Msix, 0);
    drop(client);
    assert_eq!(serving.end(), Ok(()));
}

#[test]
fn a_connection_can_be_stopped() {
    let device = Shared::new();
    let (mut client, serving) = client(&device);
    serving.stop.stop();
    serving.stop.stop();
    assert_eq!(serving.end(), Ok(()));
    assert!(client.reset().is_err());
    assert_eq!(device.lock().clients, 0);
}
