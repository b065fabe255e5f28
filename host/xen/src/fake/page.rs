//! The page of requests, as Xen and the vCPUs have it: by a mapping of their own.

use std::fs::File;

use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use vm_memory::{FileOffset, MmapRegion, VolatileMemory};
use xen_dm::abi::PAGE_SIZE;
use xen_dm::ioreq::{IoreqPage, Kind, Request};

/// Bytes of a vCPU's slot.
pub(crate) const SLOT: usize = 32;

/// Where in a slot what is.
const DATA: usize = 8;
const PORT: usize = 24;
/// The state, with the flags.
const CONTROL: usize = 30;
const KIND: usize = 31;

const STATE: u8 = 0x0f;
const DATA_IS_POINTER: u8 = 0x10;
const READ: u8 = 0x20;
const BACKWARDS: u8 = 0x40;

pub(crate) const NONE: u8 = 0;
pub(crate) const READY: u8 = 1;
pub(crate) const IN_PROCESS: u8 = 2;
pub(crate) const RESPONSE_READY: u8 = 3;

/// A page, in both parties' hands.
#[derive(Debug)]
pub(crate) struct SharedPage {
    server: IoreqPage,
    vcpus: MmapRegion,
}

/// What the page is at one moment.
pub(super) type Snapshot = [u8; PAGE_SIZE];

impl SharedPage {
    /// One of zeros.
    pub(crate) fn new() -> Self {
        let file = File::from(memfd_create("ioreq", MemfdFlags::CLOEXEC).unwrap());
        ftruncate(&file, PAGE_SIZE as u64).unwrap();
        Self {
            server: IoreqPage::of(&file).unwrap(),
            vcpus: MmapRegion::from_file(FileOffset::new(file, 0), PAGE_SIZE).unwrap(),
        }
    }

    /// Zeros again.
    pub(crate) fn clear(&self) {
        self.write(0, &[0; PAGE_SIZE]);
    }

    /// Writes bytes, as far as they are in the page.
    pub(crate) fn write(&self, at: usize, bytes: &[u8]) {
        let bytes = &bytes[..bytes.len().min(PAGE_SIZE - at)];
        let slice = self.vcpus.get_slice(at, bytes.len()).unwrap();
        slice.copy_from(bytes);
    }

    /// How far a vCPU's request has come.
    pub(crate) fn state(&self, vcpu: usize) -> u8 {
        self.slot(vcpu)[CONTROL] & STATE
    }

    /// A vCPU asks for something.
    pub(crate) fn ask(&self, vcpu: usize, request: &Request) {
        let flags = [
            (request.data_is_pointer, DATA_IS_POINTER),
            (request.read, READ),
            (request.backwards, BACKWARDS),
        ];
        let set = flags.iter().filter(|(set, _)| *set);
        let mut bytes = [0; SLOT];
        bytes[..DATA].copy_from_slice(&request.address.to_le_bytes());
        bytes[DATA..16].copy_from_slice(&request.data.to_le_bytes());
        bytes[16..20].copy_from_slice(&request.count.to_le_bytes());
        bytes[20..24].copy_from_slice(&request.size.to_le_bytes());
        // As Xen does when the server is enabled.
        bytes[PORT..PORT + 4].copy_from_slice(&(vcpu as u32 + 1).to_le_bytes());
        bytes[CONTROL] = set.fold(READY, |control, (_, flag)| control | flag);
        bytes[KIND] = match request.kind {
            Kind::Port => 0,
            Kind::Memory => 1,
            Kind::PciConfig => 2,
            Kind::TimeOffset => 7,
            Kind::Invalidate => 8,
            Kind::Other(kind) => kind,
        };
        self.write(vcpu * SLOT, &bytes);
    }

    /// A vCPU takes the answer to its request: the value, which nobody looks at that has written one.
    pub(crate) fn take_answer(&self, vcpu: usize) -> u64 {
        let mut bytes = self.slot(vcpu);
        assert_eq!(bytes[CONTROL] & STATE, RESPONSE_READY);
        bytes[CONTROL] = NONE;
        self.write(vcpu * SLOT + CONTROL, &bytes[CONTROL..=CONTROL]);
        word(&bytes, DATA)
    }

    /// The server takes a request. It changes the one slot, one state on, or nothing.
    pub(super) fn take(&self, vcpu: usize) -> Option<Request> {
        let before = self.snapshot();
        let taken = self.server.take(vcpu);
        let bytes = &before[vcpu * SLOT..][..SLOT];
        let state = bytes[CONTROL] & STATE;
        let mut expected = before;
        if state == READY {
            expected[vcpu * SLOT + CONTROL] ^= READY ^ IN_PROCESS;
        }
        assert!(self.snapshot() == expected, "the page changed elsewhere");
        assert_eq!(taken.is_some(), matches!(state, READY | IN_PROCESS));
        let request = taken?;
        let expected = Request {
            kind: bytes[KIND].into(),
            address: word(bytes, 0),
            data: word(bytes, DATA),
            count: word(bytes, 16) as u32,
            size: (word(bytes, 16) >> 32) as u32,
            data_is_pointer: bytes[CONTROL] & DATA_IS_POINTER != 0,
            read: bytes[CONTROL] & READ != 0,
            backwards: bytes[CONTROL] & BACKWARDS != 0,
        };
        assert_eq!(request, expected);
        Some(request)
    }

    /// The server completes a request. It changes the one slot, one state on, or nothing where that has changed meanwhile:
    /// any other transition crashes a guest of Xen.
    pub(super) fn complete(&self, vcpu: usize, read: Option<u64>) {
        let mut expected = self.snapshot();
        self.server.complete(vcpu, read);
        let slot = &mut expected[vcpu * SLOT..][..SLOT];
        if slot[CONTROL] & STATE == IN_PROCESS {
            slot[CONTROL] ^= IN_PROCESS ^ RESPONSE_READY;
            if let Some(value) = read {
                slot[DATA..16].copy_from_slice(&value.to_le_bytes());
            }
        }
        assert!(self.snapshot() == expected, "the page changed elsewhere");
    }

    fn slot(&self, vcpu: usize) -> [u8; SLOT] {
        let mut bytes = [0; SLOT];
        let slice = self.vcpus.get_slice(vcpu * SLOT, SLOT).unwrap();
        slice.copy_to(&mut bytes);
        bytes
    }

    fn snapshot(&self) -> Snapshot {
        let mut page = [0; PAGE_SIZE];
        let slice = self.vcpus.get_slice(0, PAGE_SIZE).unwrap();
        slice.copy_to(&mut page);
        page
    }
}

fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}
