//! Descriptors of every kind, for memory and for interrupts: what is memory is
//! taken, and nothing else is, nor makes anybody wait.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{
    MemfdFlags, Mode, OFlags, SealFlags, fcntl_add_seals, fcntl_setfl, ftruncate, memfd_create,
    open,
};
use rustix::net::sockopt::{set_socket_linger, set_socket_recv_buffer_size};
use vfio_user_server::{MAX_DMA_FILES, MAX_DMA_MAPS};

use crate::raw::{
    DMA_MAP, DMA_UNMAP, REGION_READ, Raw, SET_IRQS, access, dma_map, dma_unmap, message, set_irqs,
};
use crate::scratch::Shared;

const EACCES: u32 = 13;
const EEXIST: u32 = 17;
const EINVAL: u32 = 22;
const ENOSPC: u32 = 28;

const READ: u32 = 1;
const READ_WRITE: u32 = 3;
const MSIX: u32 = 2;
/// Trigger, by eventfds.
const BY_EVENTFD: u32 = 4 | 32;

/// Far less than a close that lingers takes.
const AT_ONCE: Duration = Duration::from_secs(2);

fn memfd(size: u64) -> OwnedFd {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let memory = memfd_create("guest", flags).unwrap();
    ftruncate(&memory, size).unwrap();
    memory
}

/// A socket whose last close waits for an hour, until the other one is closed:
/// it has sent what nobody reads.
fn lingering() -> (OwnedFd, TcpStream) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    // Or it would take all in, in time.
    set_socket_recv_buffer_size(&listener, 4096).unwrap();
    let mut socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (other, _) = listener.accept().unwrap();
    socket.set_nonblocking(true).unwrap();
    let full = loop {
        if let Err(error) = socket.write(&[0; 65536]) {
            break error;
        }
    };
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
    set_socket_linger(&socket, Some(Duration::from_secs(3600))).unwrap();
    (socket.into(), other)
}

/// Sends a message with such a socket, so that the server is the last to close
/// it.
fn give_away(socket: OwnedFd, device: &Shared, raw: &mut Raw, message: &[u8]) {
    // It is held in a read, and receives both at once.
    let held = device.lock();
    let read = crate::raw::message(0, REGION_READ, 0, &access(0, 0, 4));
    raw.send_with(&[&read, message].concat(), &[socket.as_fd()]);
    drop(socket);
    drop(held);
    assert_eq!(raw.receive().errno(), 0);
}

#[test]
fn memory_is_what_lies_in_memory() {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let in_shm = folder.path().join("memory");
    fs::write(&in_shm, [0; 0x2000]).unwrap();
    let on_disk = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let sealed = memfd(0x2000);
    fcntl_add_seals(
        &sealed,
        SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL,
    )
    .unwrap();
    let opened = |path: &str, flags| open(path, flags, Mode::empty()).unwrap();
    let shm = in_shm.to_str().unwrap();
    let (pipe, _writer) = std::io::pipe().unwrap();
    let (unix, _peer) = UnixStream::pair().unwrap();

    let (fine, wrong) = (0, EINVAL);
    let cases: Vec<(&str, OwnedFd, u32, u32)> = vec![
        ("memfd", memfd(0x2000), READ_WRITE, fine),
        ("sealed memfd", sealed, READ_WRITE, fine),
        ("/dev/shm", opened(shm, OFlags::RDWR), READ_WRITE, fine),
        ("to read", opened(shm, OFlags::RDONLY), READ, fine),
        ("to read", opened(shm, OFlags::RDONLY), READ_WRITE, EACCES),
        ("to write", opened(shm, OFlags::WRONLY), READ, EACCES),
        ("a name", opened(shm, OFlags::PATH), READ, wrong),
        ("empty", memfd(0), READ, wrong),
        ("too short", memfd(0x1fff), READ, wrong),
        ("a folder", opened("/dev/shm", OFlags::RDONLY), READ, wrong),
        ("on a disk", opened(on_disk, OFlags::RDONLY), READ, wrong),
        ("/proc", opened("/proc/self/mem", OFlags::RDWR), READ, wrong),
        ("device", opened("/dev/zero", OFlags::RDWR), READ, wrong),
        ("pipe", pipe.into(), READ, wrong),
        ("socket", unix.into(), READ, wrong),
        (
            "eventfd",
            eventfd(0, EventfdFlags::CLOEXEC).unwrap(),
            READ,
            wrong,
        ),
    ];
    let device = Shared::new();
    let (mut raw, serving) = Raw::begin(&device);
    for (index, (what, file, flags, errno)) in cases.iter().enumerate() {
        let request = dma_map(*flags, 0x1000, (index as u64) << 32, 0x1000);
        let reply = raw.ask_with(DMA_MAP, &request, &[file.as_fd()]);
        assert_eq!(reply.errno(), *errno, "{what}");
    }
    assert_eq!(device.lock().maps.len(), 4);
    // Nothing of it is mapped by this process: a client that cuts it short
    // harms no one.
    ftruncate(&cases[0].1, 0).unwrap();
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    assert!(!maps.contains("guest"), "{maps}");
    raw.is_served();
    drop(raw);
    assert_eq!(serving.end(), Ok(()));
}

/// With huge pages, where the host has a file system for them.
#[test]
fn huge_pages_are_memory() {
    let Ok(memory) = memfd_create("guest", MemfdFlags::HUGETLB) else {
        return;
    };
    ftruncate(&memory, 0x20_0000).unwrap();
    let (mut raw, _serving) = Raw::begin(&Shared::new());
    let request = dma_map(READ_WRITE, 0, 0, 0x20_0000);
    let reply = raw.ask_with(DMA_MAP, &request, &[memory.as_fd()]);
    assert_eq!(reply.errno(), 0);
}

/// One descriptor for each file, whatever the number of maps.
#[test]
fn maps_share_the_descriptor_of_their_file() {
    let open_files = || fs::read_dir("/proc/self/fd").unwrap().count();
    let device = Shared::new();
    let (mut raw, _serving) = Raw::begin(&device);
    let memory = memfd(0x1000);
    let before = open_files();
    // As QEMU does for a guest with an IOMMU, but it waits for each.
    let map = |index: usize| dma_map(READ_WRITE, 0, (index as u64) << 12, 0x1000);
    for index in 0..MAX_DMA_MAPS {
        let flags = if index % 64 == 63 {
            0
        } else {
            crate::raw::NO_REPLY
        };
        raw.send_with(&message(1, DMA_MAP, flags, &map(index)), &[memory.as_fd()]);
        if flags == 0 {
            assert_eq!(raw.receive().errno(), 0);
        }
    }
    let reply = raw.ask_with(DMA_MAP, &map(MAX_DMA_MAPS), &[memory.as_fd()]);
    assert_eq!(reply.errno(), ENOSPC);
    assert_eq!(device.lock().maps.len(), MAX_DMA_MAPS);
    // The last one's is closed by a thread of its own.
    let started = Instant::now();
    while open_files() > before + 1 {
        assert!(started.elapsed() < AT_ONCE);
        std::thread::yield_now();
    }
    // The last map of a file takes it along.
    let unmap = raw.ask(DMA_UNMAP, &dma_unmap(2, 0, 0));
    assert_eq!(unmap.errno(), 0);
    assert_eq!(open_files(), before);
}

#[test]
fn files_of_memory_are_bounded() {
    let device = Shared::new();
    let (mut raw, _serving) = Raw::begin(&device);
    let mut map = |index: usize| {
        let request = dma_map(READ, 0, (index as u64) << 12, 0x1000);
        let file = memfd(0x1000);
        raw.ask_with(DMA_MAP, &request, &[file.as_fd()]).errno()
    };
    for index in 0..MAX_DMA_FILES {
        assert_eq!(map(index), 0);
    }
    assert_eq!(map(MAX_DMA_FILES), ENOSPC);
    assert_eq!(map(0), EEXIST);
    let unmap = raw.ask(DMA_UNMAP, &dma_unmap(0, 0x1000, 0x1000));
    assert_eq!(unmap.errno(), 0);
    let request = dma_map(READ, 0, 0x1000, 0x1000);
    let reply = raw.ask_with(DMA_MAP, &request, &[memfd(0x1000).as_fd()]);
    assert_eq!(reply.errno(), 0);
}

/// What would make an interrupt wait is no eventfd.
#[test]
fn interrupts_are_eventfds() {
    let device = Shared::new();
    let (mut raw, _serving) = Raw::begin(&device);
    let event = || eventfd(0, EventfdFlags::CLOEXEC).unwrap();
    let (_reader, pipe) = std::io::pipe().unwrap();
    let (unix, _peer) = UnixStream::pair().unwrap();
    let file = File::options().write(true).open("/dev/null").unwrap();
    let wrong: [OwnedFd; 4] = [pipe.into(), unix.into(), file.into(), memfd(0)];
    for wrong in &wrong {
        for fds in [
            [event().as_fd(), wrong.as_fd()],
            [wrong.as_fd(), event().as_fd()],
        ] {
            let request = set_irqs(BY_EVENTFD, MSIX, 0, 2);
            assert_eq!(raw.ask_with(SET_IRQS, &request, &fds).errno(), EINVAL);
        }
    }
    // One that is full, and whose writers are to wait.
    let full = event();
    rustix::io::write(&full, &(u64::MAX - 1).to_ne_bytes()).unwrap();
    let request = set_irqs(BY_EVENTFD, MSIX, 0, 1);
    assert_eq!(raw.ask_with(SET_IRQS, &request, &[full.as_fd()]).errno(), 0);
    fcntl_setfl(&full, OFlags::empty()).unwrap();
    let interrupts = device.lock().interrupts.clone().unwrap();
    let (done, raised) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        interrupts.raise(vfio_user_server::InterruptIndex::Msix, 0);
        done.send(()).unwrap();
    });
    raised.recv_timeout(AT_ONCE).unwrap();
    raw.is_served();
}

/// The client hears at once that such a thing is no memory, and is served on.
#[test]
fn a_close_that_hangs_holds_up_no_access() {
    let device = Shared::new();
    let (mut raw, serving) = Raw::begin(&device);
    // Beforehand: to fill one may take as long as closes may hang, a second.
    let (sockets, others): (Vec<_>, Vec<_>) = (0..10).map(|_| lingering()).unzip();
    let started = Instant::now();
    for socket in sockets {
        let map = message(0, DMA_MAP, 0, &dma_map(READ, 0, 0, 0x1000));
        give_away(socket, &device, &mut raw, &map);
        assert_eq!(raw.receive().errno(), EINVAL);
        assert_eq!(raw.ask(REGION_READ, &access(0, 0, 4)).errno(), 0);
    }
    assert!(started.elapsed() < AT_ONCE, "{:?}", started.elapsed());
    // The device is told at once that the client has left.
    drop(raw);
    while device.lock().clients > 0 {
        assert!(started.elapsed() < 2 * AT_ONCE);
        std::thread::yield_now();
    }
    drop(others);
    assert_eq!(serving.end(), Ok(()));
}

/// More of them than are worth waiting for.
#[test]
fn closes_that_hang_are_bounded() {
    let device = Shared::new();
    let (mut raw, serving) = Raw::begin(&device);
    let (socket, other) = lingering();
    give_away(socket, &device, &mut raw, &message(0, 0xffff, 0, &[]));
    raw.receive();
    let (pipe, _writer) = std::io::pipe().unwrap();
    let bytes = message(0, 0xffff, 0, &[]);
    let mut sent = 0;
    // Until the connection is ended.
    while !serving.stop.client_has_left() {
        assert!(sent < 100);
        raw.send_with(&bytes, &[pipe.as_fd()]);
        raw.receive();
        sent += 1;
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(sent > 60, "{sent}");
    drop(other);
    assert_eq!(serving.end(), Err(vfio_user_server::Broken::Descriptors));
}
