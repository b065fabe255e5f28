//! A vfio-user connection, from the client's first byte to its last. The
//! client writes all it has to say, and the server answers, in one thread.

use std::io::{IoSlice, Read};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, LazyLock};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use vfio_user_server::{
    Broken, Connection, Device, DmaMap, Errno, InterruptIndex, Interrupts, MAX_DATA, MAX_DMA_MAPS,
    MAX_FILES, Region, RegionIndex,
};
use vgpu_runtime::Emulator;
use vgpu_vfio_user::Endpoint;

use super::given::{LOG, device};
use crate::Input;

const HEADER: usize = 16;
/// The largest message: a write of `MAX_DATA` bytes.
const LARGEST: usize = HEADER + 16 + MAX_DATA;
/// Descriptors that a message carries at most here; the server takes fewer.
const MOST_FILES: usize = 20;

const VERSION: u16 = 1;
const DMA_MAP: u16 = 2;
const DMA_UNMAP: u16 = 3;
const GET_INFO: u16 = 4;
const GET_REGION_INFO: u16 = 5;
const GET_IRQ_INFO: u16 = 7;
const SET_IRQS: u16 = 8;
const READ: u16 = 9;
const WRITE: u16 = 10;
const RESET: u16 = 13;

const BAR0: u32 = 0;
const BAR2: u32 = 2;
const ROM: u32 = 6;
const CONFIG: u32 = 7;

const NO_REPLY: u32 = 1 << 4;
/// Bytes that the socket is sure to hold while nobody reads.
const ROOM: usize = 100 << 10;

/// The device, with what else a device may have: interrupts, regions for
/// reads or writes alone, and memory of the client's.
struct Wide {
    endpoint: Endpoint,
    maps: Vec<(u64, u64)>,
    clients: i32,
}

impl Device for Wide {
    fn region(&self, index: RegionIndex) -> Region {
        match index {
            RegionIndex::Bar2 => Region {
                writable: false,
                ..Region::new(1 << 20)
            },
            RegionIndex::Rom => Region {
                readable: false,
                ..Region::new(16)
            },
            RegionIndex::Bar5 => Region::new(16),
            index => self.endpoint.region(index),
        }
    }

    fn interrupt_count(&self, index: InterruptIndex) -> u16 {
        match index {
            InterruptIndex::Intx => 1,
            InterruptIndex::Msi => 0,
            InterruptIndex::Msix => 4,
        }
    }

    fn connected(&mut self, interrupts: &Interrupts) {
        self.clients += 1;
        self.endpoint.connected(interrupts);
    }

    fn disconnected(&mut self) {
        self.clients -= 1;
        assert!(self.maps.is_empty(), "maps outlive their client");
    }

    fn read(&mut self, region: RegionIndex, offset: u64, data: &mut [u8]) -> Result<(), Errno> {
        self.holds(region, offset, data.len());
        match region {
            RegionIndex::Bar2 => data.fill(0x22),
            RegionIndex::Bar5 => return Err(Errno::IO),
            RegionIndex::Rom => panic!("a read of what cannot be read"),
            region => self.endpoint.read(region, offset, data)?,
        }
        Ok(())
    }

    fn write(&mut self, region: RegionIndex, offset: u64, data: &[u8]) -> Result<(), Errno> {
        self.holds(region, offset, data.len());
        match region {
            RegionIndex::Bar2 => panic!("a write to what cannot be written"),
            RegionIndex::Bar5 => Err(Errno::NODEV),
            RegionIndex::Rom => Ok(()),
            region => self.endpoint.write(region, offset, data),
        }
    }

    fn reset(&mut self) -> Result<(), Errno> {
        self.endpoint.reset()
    }

    fn dma_mapped(&mut self, map: &DmaMap) -> Result<(), Errno> {
        assert!(map.size > 0 && map.address.checked_add(map.size - 1) == Some(map.last()));
        let (first, last) = (map.address, map.last());
        assert!(self.maps.iter().all(|(f, l)| last < *f || *l < first));
        self.maps.push((first, last));
        assert!(self.maps.len() <= MAX_DMA_MAPS);
        Ok(())
    }

    fn dma_unmapped(&mut self, map: &DmaMap) {
        let before = self.maps.len();
        self.maps
            .retain(|known| *known != (map.address, map.last()));
        assert_eq!(self.maps.len(), before - 1);
    }
}

impl Wide {
    /// The server has checked this for the device.
    fn holds(&self, region: RegionIndex, offset: u64, count: usize) {
        assert!((1..=MAX_DATA).contains(&count));
        assert!(offset + count as u64 <= self.region(region).size);
    }
}

/// A file to send: what it is matters little.
static FILE: LazyLock<OwnedFd> = LazyLock::new(|| {
    eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).expect("an eventfd")
});

/// The lowest free descriptor, which tells whether some were left open.
fn lowest_free() -> i32 {
    use std::os::fd::AsRawFd;
    let copy = fcntl_dupfd_cloexec(&*FILE, 0).expect("a descriptor");
    copy.as_raw_fd()
}

/// Sends bytes with descriptors, and returns how many bytes went.
fn send(client: &UnixStream, bytes: &[u8], files: &[BorrowedFd<'_>]) -> usize {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_FILES))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !files.is_empty() {
        assert!(ancillary.push(SendAncillaryMessage::ScmRights(files)));
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    sendmsg(client, &[IoSlice::new(bytes)], &mut ancillary, flags).unwrap_or(0)
}

pub(super) fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let choice = input.u8();
    let free = lowest_free();
    let (mut client, server) = UnixStream::pair().expect("two sockets");
    // Nobody waits: all is said before the server starts, and nothing is read
    // before it has ended. Where the socket cannot hold that, the server fails.
    server.set_nonblocking(true).expect("a socket");

    // Parts of the stream, each with its descriptors.
    let mut said = Vec::with_capacity(bytes.len());
    let mut plain = true;
    let mut sent_files = 0;
    while !input.is_empty() {
        let (files, count) = (usize::from(input.u8()), input.u16());
        let part = input.bytes(count.into());
        let files = &[FILE.as_fd(); MOST_FILES][..files.min(MOST_FILES)];
        plain &= files.is_empty();
        sent_files += files.len();
        let sent = if part.is_empty() {
            0
        } else {
            send(&client, part, files)
        };
        said.extend(&part[..sent]);
        if sent < part.len() {
            break;
        }
    }
    client.shutdown(Shutdown::Write).expect("a socket");

    let emulator = Arc::new(Emulator::new(device(choice).0, false, LOG.clone()));
    let mut wide = Wide {
        endpoint: Endpoint::new(emulator, None),
        maps: Vec::new(),
        clients: 0,
    };
    let ended = Connection::new(server).serve(&mut wide);
    assert_eq!(wide.clients, 0);
    let mut heard = Vec::new();
    match client.read_to_end(&mut heard) {
        Ok(_) => {}
        // The server has ended without reading all.
        Err(error) => assert_eq!(error.raw_os_error(), Some(Errno::CONNRESET.raw_os_error())),
    }
    let full = ended == Err(Broken::Failed(Errno::AGAIN));
    assert!(!full || heard.len() > ROOM);
    // Where in the stream it had enough of them is not known here.
    let too_many = ended == Err(Broken::Descriptors);
    assert!(!too_many || sent_files > MAX_FILES);
    let mut judge = Judge {
        shadow: plain.then(|| device(choice).0),
        heard: &heard,
        cut: full || too_many,
    };
    let judged = judge.judge(&said);
    assert!(
        too_many || judged == (!full).then_some(ended),
        "{judged:?}, not {ended:?}"
    );

    drop((client, wide));
    assert_eq!(lowest_free(), free, "a descriptor was left open");
}

/// Holds what the client heard against what it said.
struct Judge<'a> {
    /// The device as it should be, while that is known.
    shadow: Option<Shadow>,
    heard: &'a [u8],
    /// The server could not send all, or did not answer all.
    cut: bool,
}

type Shadow = vgpu_device::Device;

/// A message's header.
#[derive(Debug, Clone, Copy)]
struct Head {
    id: u16,
    command: u16,
    size: usize,
    flags: u32,
    error: u32,
}

impl Head {
    fn split(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (head, rest) = bytes.split_at_checked(HEADER)?;
        Some((
            Self {
                id: u16::from_ne_bytes([head[0], head[1]]),
                command: u16::from_ne_bytes([head[2], head[3]]),
                size: u32_at(head, 4) as usize,
                flags: u32_at(head, 8),
                error: u32_at(head, 12),
            },
            rest,
        ))
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("4 bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(bytes[at..at + 8].try_into().expect("8 bytes"))
}

impl<'a> Judge<'a> {
    /// How the connection has to have ended; `None` where the client could not
    /// be told all.
    fn judge(&mut self, mut said: &[u8]) -> Option<Result<(), Broken>> {
        let mut begun = false;
        while let Some((head, rest)) = Head::split(said) {
            if !(HEADER..=LARGEST).contains(&head.size) {
                self.reply(&head)?;
                self.nothing_more();
                return Some(Err(Broken::Size(head.size as u32)));
            }
            let Some((payload, rest)) = rest.split_at_checked(head.size - HEADER) else {
                break;
            };
            said = rest;
            if !begun {
                let (reply, _) = self.reply(&head)?;
                if reply.error != 0 {
                    self.nothing_more();
                    return Some(Err(Broken::Version));
                }
                assert_eq!((head.command, head.flags & 0xf), (VERSION, 0));
                begun = true;
            } else if head.flags & NO_REPLY == 0 {
                let (reply, data) = self.reply(&head)?;
                self.follow(&head, payload, (reply.error == 0).then_some(data));
            } else {
                // Whether it did what it was told is not known.
                self.shadow = None;
            }
        }
        self.nothing_more();
        Some(Ok(()))
    }

    fn nothing_more(&self) {
        assert!(self.heard.is_empty(), "more replies than requests");
    }

    /// The reply to a message, which is sound by itself.
    fn reply(&mut self, head: &Head) -> Option<(Head, &'a [u8])> {
        let Some((reply, rest)) = Head::split(self.heard) else {
            assert!(self.cut, "no reply to {head:?}");
            return None;
        };
        assert_eq!((reply.id, reply.command), (head.id, head.command));
        match reply.flags {
            1 => assert_eq!(reply.error, 0),
            0x21 => assert!((1..4096).contains(&reply.error) && reply.size == HEADER),
            flags => panic!("flags {flags:#x}"),
        }
        assert!((HEADER..=LARGEST).contains(&reply.size));
        let Some((data, rest)) = rest.split_at_checked(reply.size - HEADER) else {
            assert!(self.cut, "a cut reply to {head:?}");
            return None;
        };
        self.heard = rest;
        Some((reply, data))
    }

    /// Holds a reply against the request, and has the shadow do it too. `data`
    /// is `None` for an error.
    fn follow(&mut self, head: &Head, payload: &[u8], data: Option<&[u8]>) {
        let Some(data) = data else {
            return;
        };
        assert_eq!(head.flags & 0xf, 0, "a reply was answered");
        let count = match head.command {
            READ | WRITE => u32_at(payload, 12) as usize,
            _ => 0,
        };
        let size = match head.command {
            DMA_MAP | SET_IRQS | RESET => 0,
            DMA_UNMAP => 24,
            GET_INFO | GET_IRQ_INFO => 16,
            GET_REGION_INFO => 32,
            READ => 16 + count,
            WRITE => 16,
            command => panic!("command {command} was done"),
        };
        assert_eq!(data.len(), size, "{head:?}");
        if matches!(head.command, READ | WRITE) {
            assert_eq!(data[..16], payload[..16]);
        }
        let Some(shadow) = &mut self.shadow else {
            return;
        };
        match head.command {
            RESET => drop(shadow.reset()),
            READ | WRITE => {
                let (offset, region) = (u64_at(payload, 0), u32_at(payload, 8));
                if head.command == WRITE {
                    write(shadow, region, offset, &payload[16..]);
                } else {
                    let expected = read(shadow, region, offset, count);
                    assert!(
                        data[16..] == expected,
                        "{head:?} of {region} at {offset:#x}"
                    );
                }
            }
            _ => {}
        }
    }
}

fn read(shadow: &mut Shadow, region: u32, offset: u64, count: usize) -> Vec<u8> {
    let mut data = vec![0; count];
    match region {
        CONFIG => shadow.config_read(offset as u16, &mut data),
        BAR0 if shadow.memory_decoded() => {
            let value = shadow.bar0_read(offset, count).unwrap_or(0).to_le_bytes();
            let length = count.min(8);
            data[..length].copy_from_slice(&value[..length]);
        }
        BAR0 => data.fill(0xff),
        BAR2 => data.fill(0x22),
        region => panic!("a read of region {region}"),
    }
    data
}

fn write(shadow: &mut Shadow, region: u32, offset: u64, data: &[u8]) {
    match region {
        CONFIG => drop(shadow.config_write(offset as u16, data)),
        BAR0 if shadow.memory_decoded() => {
            let mut value = [0; 8];
            let length = data.len().min(8);
            value[..length].copy_from_slice(&data[..length]);
            let _ = shadow.bar0_write(offset, data.len(), u64::from_le_bytes(value));
        }
        BAR0 | ROM => {}
        region => panic!("a write to region {region}"),
    }
}
