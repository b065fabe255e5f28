//! A client that keeps to no rule. Whatever it does, the server neither
//! panics, nor hangs, nor grows, and answers with the error that is due.

use std::fs;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use rustix::event::{EventfdFlags, eventfd};
use vfio_user_server::{Broken, MAX_DATA, MAX_DMA_MAPS, MAX_FILES};

use crate::raw::Field::{U32, U64};
use crate::raw::{
    CAPABILITIES, DMA_MAP, DMA_UNMAP, GET_INFO, GET_IRQ_INFO, GET_REGION_INFO, NO_REPLY,
    REGION_READ, REGION_WRITE, RESET, Raw, Reply, SET_IRQS, VERSION, access, dma_map, dma_unmap,
    fields, message, set_irqs, version,
};
use crate::scratch::{BAR0_SIZE, BAR2_SIZE, MSIX_VECTORS, Shared};

const ENOENT: u32 = 2;
const EIO: u32 = 5;
const EACCES: u32 = 13;
const EEXIST: u32 = 17;
const ENODEV: u32 = 19;
const EINVAL: u32 = 22;
const EMFILE: u32 = 24;
const ENOSPC: u32 = 28;
const EMSGSIZE: u32 = 90;
const ENOTSUP: u32 = 95;

const READ: u32 = 1;
const READ_WRITE: u32 = 3;
const MSIX: u32 = 2;
/// Interrupt flags: no data, booleans, eventfds; mask, unmask, trigger.
const NONE: u32 = 1;
const BOOL: u32 = 2;
const EVENTFD: u32 = 4;
const MASK: u32 = 8;
const UNMASK: u32 = 16;
const TRIGGER: u32 = 32;

fn info(argsz: u32, index: u32) -> Vec<u8> {
    fields(&[U32(argsz), U32(0), U32(index), U32(0)])
}

fn region_info(argsz: u32, index: u32) -> Vec<u8> {
    fields(&[U32(argsz), U32(0), U32(index), U32(0), U64(0), U64(0)])
}

fn write(offset: u64, region: u32, count: u32, data: usize) -> Vec<u8> {
    let mut payload = access(offset, region, count);
    payload.resize(16 + data, 0xab);
    payload
}

fn with_data(mut payload: Vec<u8>, data: &[u8]) -> Vec<u8> {
    payload.extend(data);
    payload
}

/// Each wrong command, alone, gets its error; the next one is served.
#[test]
fn wrong_commands_get_their_error() {
    let bar0 = BAR0_SIZE as u64;
    let max = MAX_DATA as u32;
    let cases: Vec<(u16, Vec<u8>, u32)> = vec![
        // Commands that do not exist, or not from client to server.
        (0, vec![], ENOTSUP),
        (6, info(16, 0), ENOTSUP),
        (11, vec![], ENOTSUP),
        (12, vec![0; 32], ENOTSUP),
        (14, vec![], ENOTSUP),
        (15, vec![0; 64], ENOTSUP),
        (16, vec![], ENOTSUP),
        (0xffff, vec![0; 999], ENOTSUP),
        // The version is agreed on already.
        (VERSION, version(0, CAPABILITIES), EINVAL),
        // Payloads of a wrong size, or that allow no reply.
        (GET_INFO, vec![], EINVAL),
        (GET_INFO, vec![0; 15], EINVAL),
        (GET_INFO, vec![0xff; 17], EINVAL),
        (GET_INFO, info(15, 0), EINVAL),
        (GET_REGION_INFO, region_info(31, 0), EINVAL),
        (GET_REGION_INFO, info(32, 0), EINVAL),
        (GET_REGION_INFO, region_info(32, 9), EINVAL),
        (GET_REGION_INFO, region_info(u32::MAX, u32::MAX), EINVAL),
        (GET_IRQ_INFO, info(15, 0), EINVAL),
        (GET_IRQ_INFO, info(16, 3), EINVAL),
        (GET_IRQ_INFO, info(16, u32::MAX), EINVAL),
        (RESET, vec![0], EINVAL),
        // Accesses.
        (REGION_READ, vec![], EINVAL),
        (REGION_READ, vec![0; 15], EINVAL),
        (REGION_READ, write(0, 0, 4, 4), EINVAL),
        (REGION_READ, access(0, 0, 0), EINVAL),
        (REGION_READ, access(bar0 - 3, 0, 4), EINVAL),
        (REGION_READ, access(bar0, 0, 1), EINVAL),
        (REGION_READ, access(u64::MAX, 0, 4), EINVAL),
        (REGION_READ, access(0, 1, 4), EINVAL),
        (REGION_READ, access(0, 9, 4), EINVAL),
        (REGION_READ, access(0, u32::MAX, u32::MAX), EINVAL),
        (REGION_READ, access(0, 2, max + 1), EINVAL),
        (REGION_READ, access(0, 2, u32::MAX), EINVAL),
        (REGION_READ, access(0, 6, 4), EACCES),
        (REGION_READ, access(0, 5, 4), EIO),
        (REGION_WRITE, access(0, 0, 4), EINVAL),
        (REGION_WRITE, write(0, 0, 4, 3), EINVAL),
        (REGION_WRITE, write(0, 0, 4, 5), EINVAL),
        (REGION_WRITE, write(0, 0, 0, 0), EINVAL),
        (REGION_WRITE, write(bar0 - 3, 0, 4, 4), EINVAL),
        (REGION_WRITE, write(u64::MAX - 3, 0, 4, 4), EINVAL),
        (REGION_WRITE, write(0, 0, u32::MAX, 4), EINVAL),
        (REGION_WRITE, write(0, 2, 4, 4), EACCES),
        (REGION_WRITE, write(0, 5, 4, 4), ENODEV),
        // DMA.
        (DMA_MAP, vec![0; 31], EINVAL),
        (DMA_MAP, with_data(dma_map(READ, 0, 0, 4096), &[0]), EINVAL),
        (
            DMA_MAP,
            fields(&[U32(31), U32(READ), U64(0), U64(0), U64(4096)]),
            EINVAL,
        ),
        (DMA_MAP, dma_map(0, 0, 0, 4096), EINVAL),
        (DMA_MAP, dma_map(2 | 4, 0, 0, 4096), EINVAL),
        (DMA_MAP, dma_map(READ, 0, 0, 0), EINVAL),
        (DMA_MAP, dma_map(READ, 0, 0, 4095), EINVAL),
        (DMA_MAP, dma_map(READ, 0, 1, 4096), EINVAL),
        (DMA_MAP, dma_map(READ, 0, u64::MAX - 4095, 8192), EINVAL),
        (DMA_MAP, dma_map(READ, u64::MAX, 0, 4096), EINVAL),
        (DMA_MAP, dma_map(READ, i64::MAX as u64, 0, 4096), EINVAL),
        (DMA_UNMAP, vec![0; 23], EINVAL),
        (DMA_UNMAP, dma_unmap(0, 0x1000, 4096), ENOENT),
        (DMA_UNMAP, dma_unmap(1, 0, 4096), EINVAL),
        (DMA_UNMAP, dma_unmap(2, 0, 4096), EINVAL),
        (DMA_UNMAP, dma_unmap(0, 0, 0), EINVAL),
        (DMA_UNMAP, dma_unmap(0, u64::MAX, u64::MAX), EINVAL),
        // Interrupts.
        (SET_IRQS, vec![0; 19], EINVAL),
        (SET_IRQS, set_irqs(NONE | TRIGGER, 3, 0, 1), EINVAL),
        (SET_IRQS, set_irqs(NONE | TRIGGER, u32::MAX, 0, 1), EINVAL),
        (SET_IRQS, set_irqs(NONE | TRIGGER, 0, 0, 1), EINVAL),
        (SET_IRQS, set_irqs(NONE | TRIGGER, MSIX, 4, 1), EINVAL),
        (
            SET_IRQS,
            set_irqs(NONE | TRIGGER, MSIX, u32::MAX, u32::MAX),
            EINVAL,
        ),
        (SET_IRQS, set_irqs(NONE | TRIGGER, MSIX, 1, 0), EINVAL),
        (SET_IRQS, set_irqs(EVENTFD | TRIGGER, MSIX, 0, 0), EINVAL),
        (SET_IRQS, set_irqs(TRIGGER, MSIX, 0, 1), EINVAL),
        (SET_IRQS, set_irqs(NONE, MSIX, 0, 1), EINVAL),
        (
            SET_IRQS,
            set_irqs(NONE | BOOL | TRIGGER, MSIX, 0, 1),
            EINVAL,
        ),
        (
            SET_IRQS,
            set_irqs(NONE | MASK | TRIGGER, MSIX, 0, 1),
            EINVAL,
        ),
        (SET_IRQS, set_irqs(NONE | TRIGGER | 64, MSIX, 0, 1), EINVAL),
        (SET_IRQS, set_irqs(BOOL | TRIGGER, MSIX, 0, 1), EINVAL),
        (
            SET_IRQS,
            with_data(set_irqs(BOOL | TRIGGER, MSIX, 0, 1), &[1, 1]),
            EINVAL,
        ),
        (
            SET_IRQS,
            with_data(set_irqs(NONE | TRIGGER, MSIX, 0, 1), &[1]),
            EINVAL,
        ),
        (SET_IRQS, set_irqs(NONE | MASK, MSIX, 0, 1), ENOTSUP),
        (SET_IRQS, set_irqs(NONE | UNMASK, MSIX, 0, 1), ENOTSUP),
    ];
    let device = Shared::new();
    let (mut raw, serving) = Raw::begin(&device);
    for (command, payload, errno) in cases {
        let found = raw.ask(command, &payload).errno();
        assert_eq!(found, errno, "command {command}: {payload:02x?}");
        // A reply that nobody waits for would be taken for the next one.
        raw.send(&message(9, command, NO_REPLY, &payload));
        raw.is_served();
    }
    assert!(device.lock().maps.is_empty());
    drop(raw);
    assert_eq!(serving.end(), Ok(()));
}

/// The largest access that is announced works; BAR2 is larger.
#[test]
fn the_largest_access_works() {
    assert!(BAR2_SIZE > MAX_DATA as u64);
    let device = Shared::new();
    let (mut raw, _serving) = Raw::begin(&device);
    let reply = raw.ask(REGION_READ, &access(0, 2, MAX_DATA as u32));
    assert_eq!(reply.errno(), 0);
    assert_eq!(reply.payload.len(), 16 + MAX_DATA);
    assert!(reply.payload[16..].iter().all(|&byte| byte == 0x22));
    let reply = raw.ask(REGION_WRITE, &write(0, 2, MAX_DATA as u32, MAX_DATA));
    assert_eq!(reply.errno(), EACCES);
}

#[test]
fn a_reply_and_unknown_types_are_errors() {
    let device = Shared::new();
    let (mut raw, _serving) = Raw::begin(&device);
    for kind in 1..16 {
        raw.send(&message(5, RESET, kind, &[]));
        assert_eq!(raw.receive().errno(), EINVAL);
    }
    assert_eq!(device.lock().resets, 0);
    raw.is_served();
}

#[test]
fn sizes_that_no_message_has_end_the_connection() {
    let device = Shared::new();
    let too_large = MAX_DATA as u32 + 33;
    for size in [0, 1, 15, too_large, 1 << 20, u32::MAX] {
        for begun in [false, true] {
            let connect = if begun { Raw::begin } else { Raw::connect };
            let (mut raw, serving) = connect(&device);
            let mut bytes = message(7, RESET, 0, &[]);
            bytes[4..8].copy_from_slice(&size.to_ne_bytes());
            raw.send(&bytes);
            let reply = raw.receive();
            assert_eq!((reply.id, reply.errno()), (7, EMSGSIZE), "{size}");
            assert_eq!(serving.end(), Err(Broken::Size(size)));
            raw.is_closed();
        }
    }
}

#[test]
fn a_connection_begins_with_a_version() {
    let device = Shared::new();
    let deep = [vec![b'['; 60_000], vec![0]].concat();
    let wrong: Vec<(u16, Vec<u8>)> = vec![
        (RESET, vec![]),
        (REGION_READ, access(0, 0, 4)),
        (VERSION, vec![]),
        (VERSION, vec![0; 3]),
        (VERSION, version(1, CAPABILITIES)),
        (VERSION, version(0xffff, CAPABILITIES)),
        (VERSION, version(0, b"{}")),
        (VERSION, version(0, b"\0")),
        (VERSION, version(0, b"{\0")),
        (VERSION, version(0, b"\xff\xfe\0")),
        (VERSION, version(0, b"{\"capabilities\":7}\0")),
        (
            VERSION,
            version(0, b"{\"capabilities\":{\"max_msg_fds\":-1}}\0"),
        ),
        (
            VERSION,
            version(0, b"{\"capabilities\":{\"max_msg_fds\":1e99}}\0"),
        ),
        (VERSION, version(0, &deep)),
    ];
    for (command, payload) in wrong {
        let (mut raw, serving) = Raw::connect(&device);
        assert_eq!(raw.ask(command, &payload).errno(), EINVAL, "{command}");
        assert_eq!(serving.end(), Err(Broken::Version));
        raw.is_closed();
    }
    // A reply is no proposal.
    let (mut raw, serving) = Raw::connect(&device);
    raw.send(&message(1, VERSION, 1, &version(0, CAPABILITIES)));
    assert_eq!(raw.receive().errno(), EINVAL);
    assert_eq!(serving.end(), Err(Broken::Version));

    let (mut raw, serving) = Raw::connect(&device);
    let zero = fs::File::open("/dev/zero").unwrap();
    let reply = raw.ask_with(VERSION, &version(0, CAPABILITIES), &[zero.as_fd()]);
    assert_eq!(reply.errno(), EINVAL);
    assert_eq!(serving.end(), Err(Broken::Version));

    for text in [&b""[..], b"{}\0", b"{\"capabilities\":{\"new\":[1,2]}}\0"] {
        let (mut raw, serving) = Raw::connect(&device);
        let reply = raw.ask(VERSION, &version(0, text));
        assert_eq!(reply.errno(), 0);
        assert_eq!(reply.payload[..4], [0; 4]);
        let (last, json) = reply.payload[4..].split_last().unwrap();
        assert_eq!(*last, 0);
        let json: serde_json::Value = serde_json::from_slice(json).unwrap();
        let expected = serde_json::json!({ "capabilities": {
            "max_msg_fds": MAX_FILES, "max_data_xfer_size": MAX_DATA,
            "max_dma_maps": MAX_DMA_MAPS, "pgsizes": 4096,
        }});
        assert_eq!(json, expected);
        raw.is_served();
        drop(raw);
        assert_eq!(serving.end(), Ok(()));
    }
    assert_eq!(device.lock().clients, 0);
}

/// A session that uses all that takes a payload, as bytes.
fn session() -> Vec<u8> {
    [
        message(0, VERSION, 0, &version(0, CAPABILITIES)),
        message(1, GET_INFO, 0, &info(16, 0)),
        message(2, GET_REGION_INFO, 0, &region_info(32, 0)),
        message(3, DMA_MAP, NO_REPLY, &dma_map(READ_WRITE, 0, 0, 4096)),
        message(4, REGION_WRITE, 0, &write(0x20, 0, 8, 8)),
        message(5, REGION_READ, 0, &access(0x20, 0, 8)),
        message(6, DMA_UNMAP, 0, &dma_unmap(0, 0, 4096)),
    ]
    .concat()
}

fn replies(raw: &mut Raw) -> Vec<Reply> {
    [0, 1, 2, 4, 5, 6]
        .map(|id| {
            let reply = raw.receive();
            assert_eq!((reply.id, reply.errno()), (id, 0));
            reply
        })
        .into()
}

/// The stream may arrive in any pieces, all of it at once included.
#[test]
fn messages_may_arrive_in_pieces() {
    let device = Shared::new();
    let bytes = session();
    let (mut raw, _serving) = Raw::connect(&device);
    raw.send(&bytes);
    let expected = replies(&mut raw);
    for piece in [1, 3, 15, 17] {
        let (mut raw, _serving) = Raw::connect(&device);
        for piece in bytes.chunks(piece) {
            raw.send(piece);
            std::thread::yield_now();
        }
        assert_eq!(replies(&mut raw), expected);
    }
}

#[test]
fn a_client_may_leave_at_every_byte() {
    let device = Shared::new();
    let bytes = session();
    for end in 0..=bytes.len() {
        let (mut raw, serving) = Raw::connect(&device);
        raw.send(&bytes[..end]);
        drop(raw);
        let ended = serving.end();
        // Unread replies make it an abortive close.
        assert_eq!(ended, Ok(()), "after {end} bytes");
    }
    let scratch = device.lock();
    assert_eq!((scratch.clients, scratch.maps.len()), (0, 0));
}

/// A client that asks and never reads holds up itself alone.
#[test]
fn a_client_that_never_reads_can_be_stopped() {
    let device = Shared::new();
    let (mut raw, serving) = Raw::begin(&device);
    raw.stream.set_nonblocking(true).unwrap();
    let request = message(1, REGION_READ, 0, &access(0, 2, MAX_DATA as u32));
    // Until the server waits in its send and does not read any more.
    let mut refused = 0;
    while refused < 50 {
        if raw.stream.write(&request).is_err() {
            refused += 1;
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }
    serving.stop.stop();
    assert_eq!(serving.end(), Ok(()));
}

#[test]
fn maps_may_not_overlap_and_are_bounded() {
    let device = Shared::new();
    let (mut raw, serving) = Raw::begin(&device);
    let map = |raw: &mut Raw, address, size| {
        raw.ask(DMA_MAP, &dma_map(READ_WRITE, 0, address, size))
            .errno()
    };
    assert_eq!(map(&mut raw, 0x4000, 0x4000), 0);
    for (address, size, errno) in [
        (0x4000, 0x4000, EEXIST),
        (0x3000, 0x2000, EEXIST),
        (0x5000, 0x1000, EEXIST),
        (0x7000, 0x2000, EEXIST),
        (0x0000, 1 << 40, EEXIST),
        (0x3000, 0x1000, 0),
        (0x8000, 0x1000, 0),
        (u64::MAX - 0xfff, 0x1000, 0),
        (u64::MAX - 0xfff, 0x1000, EEXIST),
    ] {
        assert_eq!(map(&mut raw, address, size), errno, "{address:#x}");
    }
    let unmap = |raw: &mut Raw, flags, address, size| {
        raw.ask(DMA_UNMAP, &dma_unmap(flags, address, size)).errno()
    };
    assert_eq!(unmap(&mut raw, 0, 0x4000, 0x1000), EINVAL);
    assert_eq!(unmap(&mut raw, 0, 0x5000, 0x1000), ENOENT);
    assert_eq!(unmap(&mut raw, 0, 0x3000, 0x5000), EINVAL);
    let held = device.lock().maps.len();
    for more in held..MAX_DMA_MAPS {
        assert_eq!(map(&mut raw, (more as u64) << 32, 0x1000), 0);
    }
    assert_eq!(map(&mut raw, 1 << 62, 0x1000), ENOSPC);
    assert_eq!(device.lock().maps.len(), MAX_DMA_MAPS);
    assert_eq!(unmap(&mut raw, 2, 0, 0), 0);
    assert!(device.lock().maps.is_empty());
    assert_eq!(map(&mut raw, 0x4000, 0x4000), 0);
    drop(raw);
    assert_eq!(serving.end(), Ok(()));
}

fn open_files() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Descriptors where none belong, or too many, are closed; so are all others
/// once the client leaves.
#[test]
fn floods_of_descriptors_are_closed() {
    let device = Shared::new();
    let event = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
    let files = |count| vec![event.as_fd(); count];
    let before = open_files();
    let (mut raw, serving) = Raw::begin(&device);
    let connected = open_files();
    let map = dma_map(READ, 0, 0, 4096);
    let irqs = |count| set_irqs(EVENTFD | TRIGGER, MSIX, 0, count);
    let four: u32 = MSIX_VECTORS.into();
    let cases: [(u16, Vec<u8>, usize, u32); 9] = [
        (GET_INFO, info(16, 0), 1, EINVAL),
        (REGION_READ, access(0, 0, 4), 16, EINVAL),
        (0xffff, vec![], 16, EINVAL),
        (DMA_MAP, map.clone(), 2, EINVAL),
        (DMA_MAP, map.clone(), 17, EMFILE),
        (DMA_MAP, map, 64, EMFILE),
        (SET_IRQS, irqs(four), 5, EINVAL),
        (SET_IRQS, irqs(four), 3, EINVAL),
        (SET_IRQS, set_irqs(NONE | TRIGGER, MSIX, 0, four), 4, EINVAL),
    ];
    for round in 0..100 {
        for (command, payload, count, errno) in &cases {
            let found = raw.ask_with(*command, payload, &files(*count)).errno();
            assert_eq!(found, *errno, "{command} with {count}");
            // By a thread of their own.
            let started = Instant::now();
            while open_files() > connected {
                assert!(started.elapsed() < Duration::from_secs(10), "round {round}");
                std::thread::yield_now();
            }
        }
    }
    raw.is_served();
    // Those that are kept are replaced, not gathered.
    for _ in 0..100 {
        assert_eq!(raw.ask_with(SET_IRQS, &irqs(four), &files(4)).errno(), 0);
    }
    assert_eq!(open_files(), connected + 4);
    // A message that never ends keeps its descriptors until the client goes.
    raw.send_with(&message(0, DMA_MAP, 0, &[0; 32])[..20], &files(16));
    drop(raw);
    assert_eq!(serving.end(), Ok(()));
    assert_eq!(open_files(), before);
}

/// Descriptors go with their own message also when it is not alone.
#[test]
fn descriptors_stay_with_their_message() {
    let device = Shared::new();
    let (mut raw, serving) = Raw::begin(&device);
    let memory = rustix::fs::memfd_create("guest", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    rustix::fs::ftruncate(&memory, 0x7000).unwrap();
    let fd: &[BorrowedFd<'_>] = &[memory.as_fd()];
    let map = |address| dma_map(READ, 0, address, 0x1000);
    // Messages that pile up before the server looks: it is held in a read.
    let guard = device.lock();
    raw.send(&message(0, REGION_READ, 0, &access(0, 0, 4)));
    raw.send(&message(1, DMA_MAP, NO_REPLY, &map(0x1000)));
    raw.send_with(&message(2, DMA_MAP, NO_REPLY, &map(0x2000)), fd);
    raw.send(&message(3, DMA_MAP, NO_REPLY, &map(0x3000)));
    raw.send_with(&message(4, DMA_MAP, 0, &map(0x4000))[..16], fd);
    raw.send(&message(4, DMA_MAP, 0, &map(0x4000))[16..]);
    drop(guard);
    assert_eq!(raw.receive().id, 0);
    assert_eq!(raw.receive().id, 4);
    let maps = device.lock().maps.clone();
    let mapped: Vec<_> = maps.into_iter().map(|(at, map)| (at, map.1)).collect();
    let size = Some(0x7000);
    let expected = [
        (0x1000, None),
        (0x2000, size),
        (0x3000, None),
        (0x4000, size),
    ];
    assert_eq!(mapped, expected);
    drop(raw);
    assert_eq!(serving.end(), Ok(()));
}

/// Booleans say which interrupts to raise.
#[test]
fn a_client_raises_interrupts_by_booleans() {
    let device = Shared::new();
    let (mut raw, _serving) = Raw::begin(&device);
    let events = [(); 3].map(|()| eventfd(0, EventfdFlags::CLOEXEC).unwrap());
    let fds: Vec<_> = events.iter().map(AsFd::as_fd).collect();
    let assign = set_irqs(EVENTFD | TRIGGER, MSIX, 1, 3);
    assert_eq!(raw.ask_with(SET_IRQS, &assign, &fds).errno(), 0);
    let some = with_data(set_irqs(BOOL | TRIGGER, MSIX, 1, 3), &[1, 0, 9]);
    assert_eq!(raw.ask(SET_IRQS, &some).errno(), 0);
    let heard = events.map(|event| rustix::io::read(event, &mut [0; 8]).is_ok());
    assert_eq!(heard, [true, false, true]);
}

/// Well-formed messages with anything in them, and their bytes then damaged.
fn messages() -> impl Strategy<Value = Vec<u8>> {
    let field = prop_oneof![
        (0..10u32).prop_map(|value| value.to_ne_bytes().to_vec()),
        any::<u32>().prop_map(|value| value.to_ne_bytes().to_vec()),
        any::<u64>().prop_map(|value| value.to_ne_bytes().to_vec()),
    ];
    let payload = proptest::collection::vec(field, 0..8).prop_map(|fields| fields.concat());
    let command = prop_oneof![9 => 0..20u16, 1 => any::<u16>()];
    let flags = prop_oneof![9 => Just(0), 1 => any::<u32>()];
    let whole = (any::<u16>(), command, flags, payload)
        .prop_map(|(id, command, flags, payload)| message(id, command, flags, &payload));
    let damage = proptest::option::weighted(0.1, (any::<prop::sample::Index>(), any::<u8>()));
    (whole, damage).prop_map(|(mut bytes, damage)| {
        if let Some((at, value)) = damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever a client sends, its connection ends in order, and the next one
    /// is served.
    #[test]
    fn noise_harms_nobody(
        begun in any::<bool>(),
        noise in proptest::collection::vec(messages(), 0..40),
        tail in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let device = Shared::new();
        let connect = if begun { Raw::begin } else { Raw::connect };
        let (raw, serving) = connect(&device);
        let mut stream = raw.stream;
        let bytes = [noise.concat(), tail].concat();
        // The server may have closed already.
        let reader = stream.try_clone().unwrap();
        let reading = std::thread::spawn(move || std::io::copy(&mut &reader, &mut std::io::sink()));
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = serving.end();
        drop(stream);
        let _ = reading.join();
        prop_assert_eq!(device.lock().clients, 0);
        prop_assert_eq!(device.lock().maps.len(), 0);
        let (mut raw, _serving) = Raw::begin(&device);
        raw.is_served();
    }
}
