//! A client that sends what it is told to, byte by byte where need be.

use std::io::{IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use crate::scratch::{Serving, Shared};

pub(crate) const VERSION: u16 = 1;
pub(crate) const DMA_MAP: u16 = 2;
pub(crate) const DMA_UNMAP: u16 = 3;
pub(crate) const GET_INFO: u16 = 4;
pub(crate) const GET_REGION_INFO: u16 = 5;
pub(crate) const GET_IRQ_INFO: u16 = 7;
pub(crate) const SET_IRQS: u16 = 8;
pub(crate) const REGION_READ: u16 = 9;
pub(crate) const REGION_WRITE: u16 = 10;
pub(crate) const RESET: u16 = 13;

pub(crate) const NO_REPLY: u32 = 1 << 4;

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) id: u16,
    pub(crate) command: u16,
    pub(crate) flags: u32,
    pub(crate) error: u32,
    pub(crate) payload: Vec<u8>,
}

impl Reply {
    /// The error number, 0 for none. An error has no payload.
    pub(crate) fn errno(&self) -> u32 {
        match self.flags {
            1 => {
                assert_eq!(self.error, 0);
                0
            }
            0x21 => {
                assert_ne!(self.error, 0);
                assert!(self.payload.is_empty());
                self.error
            }
            flags => panic!("flags {flags:#x}"),
        }
    }
}

pub(crate) struct Raw {
    pub(crate) stream: UnixStream,
}

/// A message, with any header one likes.
pub(crate) fn message(id: u16, command: u16, flags: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(id.to_ne_bytes());
    bytes.extend(command.to_ne_bytes());
    bytes.extend((16 + payload.len() as u32).to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend([0; 4]);
    bytes.extend(payload);
    bytes
}

/// A payload of 32-bit and 64-bit fields.
pub(crate) fn fields(fields: &[Field]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for field in fields {
        match field {
            Field::U32(value) => bytes.extend(value.to_ne_bytes()),
            Field::U64(value) => bytes.extend(value.to_ne_bytes()),
        }
    }
    bytes
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Field {
    U32(u32),
    U64(u64),
}
use Field::{U32, U64};

pub(crate) fn access(offset: u64, region: u32, count: u32) -> Vec<u8> {
    fields(&[U64(offset), U32(region), U32(count)])
}

pub(crate) fn dma_map(flags: u32, offset: u64, address: u64, size: u64) -> Vec<u8> {
    fields(&[U32(32), U32(flags), U64(offset), U64(address), U64(size)])
}

pub(crate) fn dma_unmap(flags: u32, address: u64, size: u64) -> Vec<u8> {
    fields(&[U32(24), U32(flags), U64(address), U64(size)])
}

pub(crate) fn set_irqs(flags: u32, index: u32, start: u32, count: u32) -> Vec<u8> {
    fields(&[U32(20), U32(flags), U32(index), U32(start), U32(count)])
}

pub(crate) fn version(major: u16, text: &[u8]) -> Vec<u8> {
    let mut bytes = major.to_ne_bytes().to_vec();
    bytes.extend([0; 2]);
    bytes.extend(text);
    bytes
}

pub(crate) const CAPABILITIES: &[u8] =
    b"{\"capabilities\":{\"max_msg_fds\":8,\"max_data_xfer_size\":1048576}}\0";

impl Raw {
    /// A connection that has not begun.
    pub(crate) fn connect(device: &Shared) -> (Self, Serving) {
        let (client, server) = UnixStream::pair().unwrap();
        client
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        (Self { stream: client }, device.serve(server))
    }

    /// A connection whose version is agreed on.
    pub(crate) fn begin(device: &Shared) -> (Self, Serving) {
        let (mut raw, serving) = Self::connect(device);
        let reply = raw.ask(VERSION, &version(0, CAPABILITIES));
        assert_eq!(reply.errno(), 0);
        (raw, serving)
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Sends bytes with descriptors.
    pub(crate) fn send_with(&mut self, bytes: &[u8], files: &[BorrowedFd<'_>]) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(64))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        assert!(ancillary.push(SendAncillaryMessage::ScmRights(files)));
        let sent = sendmsg(
            self.stream.as_fd(),
            &[IoSlice::new(bytes)],
            &mut ancillary,
            SendFlags::NOSIGNAL,
        );
        assert_eq!(sent.unwrap(), bytes.len());
    }

    /// Sends a command and returns the reply, which must be to it.
    pub(crate) fn ask(&mut self, command: u16, payload: &[u8]) -> Reply {
        self.ask_with(command, payload, &[])
    }

    pub(crate) fn ask_with(
        &mut self,
        command: u16,
        payload: &[u8],
        files: &[BorrowedFd<'_>],
    ) -> Reply {
        let bytes = message(0x4711, command, 0, payload);
        if files.is_empty() {
            self.send(&bytes);
        } else {
            self.send_with(&bytes, files);
        }
        let reply = self.receive();
        assert_eq!((reply.id, reply.command), (0x4711, command));
        reply
    }

    pub(crate) fn receive(&mut self) -> Reply {
        let mut header = [0; 16];
        self.stream.read_exact(&mut header).expect("a reply");
        let u16_at = |at| u16::from_ne_bytes([header[at], header[at + 1]]);
        let u32_at = |at: usize| u32::from_ne_bytes(header[at..at + 4].try_into().unwrap());
        let mut payload = vec![0; u32_at(4) as usize - 16];
        self.stream.read_exact(&mut payload).expect("a payload");
        Reply {
            id: u16_at(0),
            command: u16_at(2),
            flags: u32_at(8),
            error: u32_at(12),
            payload,
        }
    }

    /// Nothing more comes: the server has closed the connection.
    pub(crate) fn is_closed(&mut self) {
        assert_eq!(self.stream.read(&mut [0]).unwrap(), 0);
    }

    /// The server is well, and this connection too.
    pub(crate) fn is_served(&mut self) {
        self.send(&message(1, RESET, NO_REPLY, &[]));
        let mut write = access(8, 0, 4);
        write.extend([1, 2, 3, 4]);
        assert_eq!(self.ask(REGION_WRITE, &write).errno(), 0);
        let reply = self.ask(REGION_READ, &access(8, 0, 4));
        assert_eq!(reply.errno(), 0);
        assert_eq!(reply.payload, write);
    }
}
