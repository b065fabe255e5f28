//! The page on which vCPUs leave their requests and find the answers
//! (Xen `xen/include/public/hvm/ioreq.h`).
#![allow(unsafe_code)]

use std::mem::offset_of;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64};

use crate::abi::PAGE_SIZE;
use crate::mapping::Page;

/// vCPUs that a page has room for.
pub const SLOTS: usize = PAGE_SIZE / size_of::<Slot>();

/// What a vCPU asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// What it is.
    pub kind: Kind,
    /// The address: guest-physical for memory; for config space the function
    /// in the upper 32 bits (bus << 8 | device << 3 | function), the register
    /// in the lower ones.
    pub address: u64,
    /// The value to write, or the guest-physical address of the values.
    pub data: u64,
    /// How often the access is made.
    pub count: u32,
    /// Bytes per access, as the guest made it.
    pub size: u32,
    /// Whether it reads.
    pub read: bool,
    /// Whether `data` is an address.
    pub data_is_pointer: bool,
    /// Whether addresses fall from one access to the next.
    pub backwards: bool,
}

/// Kinds of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `IOREQ_TYPE_PIO`
    Port,
    /// `IOREQ_TYPE_COPY`: memory.
    Memory,
    /// `IOREQ_TYPE_PCI_CONFIG`
    PciConfig,
    /// `IOREQ_TYPE_TIMEOFFSET`
    TimeOffset,
    /// `IOREQ_TYPE_INVALIDATE`: forget cached mappings of guest memory.
    Invalidate,
    /// Another one.
    Other(u8),
}

impl From<u8> for Kind {
    fn from(kind: u8) -> Self {
        match kind {
            0 => Self::Port,
            1 => Self::Memory,
            2 => Self::PciConfig,
            7 => Self::TimeOffset,
            8 => Self::Invalidate,
            other => Self::Other(other),
        }
    }
}

/// `struct ioreq`.
#[derive(Debug)]
#[repr(C)]
struct Slot {
    address: AtomicU64,
    data: AtomicU64,
    count: AtomicU32,
    size: AtomicU32,
    port: AtomicU32,
    pad: AtomicU16,
    /// State in bits 0 to 3, then flags.
    control: AtomicU8,
    kind: AtomicU8,
}

const _: () = assert!(size_of::<Slot>() == 32 && SLOTS == 128);
const _: () = assert!(offset_of!(Slot, data) == 8 && offset_of!(Slot, count) == 16);
const _: () = assert!(offset_of!(Slot, size) == 20 && offset_of!(Slot, port) == 24);
const _: () = assert!(offset_of!(Slot, control) == 30 && offset_of!(Slot, kind) == 31);

/// The bits of [`Slot::control`].
mod control {
    pub(super) const STATE: u8 = 0x0f;
    pub(super) const DATA_IS_POINTER: u8 = 0x10;
    pub(super) const READ: u8 = 0x20;
    pub(super) const BACKWARDS: u8 = 0x40;
}

/// The states of a request, which follow each other in this order.
mod state {
    pub(super) const READY: u8 = 1;
    pub(super) const IN_PROCESS: u8 = 2;
    pub(super) const RESPONSE_READY: u8 = 3;
}

/// A server's page of requests: one for each vCPU, by its number.
#[derive(Debug)]
pub struct IoreqPage {
    page: Page,
}

impl IoreqPage {
    pub(crate) fn new(page: Page) -> Self {
        Self { page }
    }

    /// The first page of any file, whose other mappings play the vCPUs.
    ///
    /// # Errors
    ///
    /// The file cannot be mapped.
    #[cfg(feature = "fuzz")]
    pub fn of(file: impl std::os::fd::AsFd) -> Result<Self, rustix::io::Errno> {
        Page::reserve(file).map(Self::new)
    }

    /// The port on which a vCPU says that it has a request; `None` where there
    /// is no such vCPU. Xen fills it in when the server is enabled.
    #[must_use]
    pub fn port(&self, vcpu: usize) -> Option<u32> {
        match self.slots().get(vcpu)?.port.load(Relaxed) {
            0 => None,
            port => Some(port),
        }
    }

    /// Takes a vCPU's request, also one that was taken before and never
    /// completed: its server has died.
    #[must_use]
    pub fn take(&self, vcpu: usize) -> Option<Request> {
        let slot = self.slots().get(vcpu)?;
        let control = slot.control.load(Acquire);
        match control & control::STATE {
            // Only the server writes to a slot in these states, so this store
            // takes nothing back.
            state::READY => slot
                .control
                .store((control & !control::STATE) | state::IN_PROCESS, Relaxed),
            state::IN_PROCESS => {}
            _ => return None,
        }
        Some(Request {
            kind: slot.kind.load(Relaxed).into(),
            address: slot.address.load(Relaxed),
            data: slot.data.load(Relaxed),
            count: slot.count.load(Relaxed),
            size: slot.size.load(Relaxed),
            read: control & control::READ != 0,
            data_is_pointer: control & control::DATA_IS_POINTER != 0,
            backwards: control & control::BACKWARDS != 0,
        })
    }

    /// Completes the request that was taken, with the value that it reads.
    /// The vCPU goes on once it is notified. Does nothing where none was
    /// taken: Xen crashes a guest whose request goes backwards.
    pub fn complete(&self, vcpu: usize, read: Option<u64>) {
        let Some(slot) = self.slots().get(vcpu) else {
            return;
        };
        let control = slot.control.load(Relaxed);
        if control & control::STATE != state::IN_PROCESS {
            return;
        }
        if let Some(value) = read {
            slot.data.store(value, Relaxed);
        }
        let done = (control & !control::STATE) | state::RESPONSE_READY;
        slot.control.store(done, Release);
    }

    /// Whether a vCPU has not yet taken the answer to its last request.
    #[must_use]
    pub fn is_answered(&self, vcpu: usize) -> bool {
        self.slots().get(vcpu).is_some_and(|slot| {
            slot.control.load(Acquire) & control::STATE == state::RESPONSE_READY
        })
    }

    /// What was written by [`set_mark`](Self::set_mark), for as long as the
    /// server exists, whatever processes do; 0 if nothing was. It is in the
    /// last slot: in a domain of [`SLOTS`] vCPUs it goes as the last one asks
    /// for something.
    #[must_use]
    pub fn mark(&self) -> u64 {
        let last = self.slots().last();
        last.map_or(0, |slot| slot.address.load(Relaxed))
    }

    /// Marks the page, which no vCPU may have used yet.
    pub fn set_mark(&self, mark: u64) {
        if let Some(slot) = self.slots().last() {
            slot.address.store(mark, Relaxed);
        }
    }

    fn slots(&self) -> &[Slot; SLOTS] {
        // SAFETY: the page is mapped for as long as `self` lives, and aligned;
        // its size is that of the array, whose atomics take any bits and may
        // be shared with other writers.
        unsafe { self.page.start().cast().as_ref() }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const READ: u8 = state::READY | control::READ;

    /// Two threads share a page, as a vCPU and the server do. Miri knows which
    /// stores either of them may not have seen.
    #[test]
    fn a_request_and_its_answer_arrive_whole() {
        let page = IoreqPage::new(Page::private());
        thread::scope(|scope| {
            let vcpu = scope.spawn(|| {
                for number in 0..20 {
                    let slot = &page.slots()[1];
                    slot.address.store(number, Relaxed);
                    slot.size.store(4, Relaxed);
                    slot.kind.store(1, Relaxed);
                    slot.control.store(READ, Release);
                    while slot.control.load(Acquire) & control::STATE != state::RESPONSE_READY {
                        thread::yield_now();
                    }
                    assert_eq!(slot.data.load(Relaxed), number + 1000);
                }
            });
            for number in 0..20 {
                let request = loop {
                    match page.take(1) {
                        Some(request) => break request,
                        None => assert!(!vcpu.is_finished(), "the vCPU has given up"),
                    }
                    thread::yield_now();
                };
                let of_it = (request.kind, request.address, request.size, request.read);
                assert_eq!(of_it, (Kind::Memory, number, 4, true));
                page.complete(1, Some(number + 1000));
            }
        });
    }

    #[test]
    fn a_request_goes_forward_alone() {
        let page = IoreqPage::new(Page::private());
        let control = |vcpu: usize| page.slots()[vcpu].control.load(Relaxed);
        page.complete(0, Some(1));
        assert_eq!((control(0), page.take(0)), (0, None));

        page.slots()[0].control.store(READ, Relaxed);
        page.complete(0, Some(1));
        assert_eq!(control(0), READ, "it was not taken");
        let taken = page.take(0);
        assert!(taken.is_some_and(|request| request.read));
        assert_eq!(page.take(0), taken, "for a server whose last one has died");
        page.complete(0, Some(1));
        assert_eq!(control(0), state::RESPONSE_READY | control::READ);
        assert!(page.is_answered(0));
        assert_eq!(page.take(0), None);

        page.complete(SLOTS, Some(1));
        assert_eq!((page.take(SLOTS), page.port(SLOTS)), (None, None));

        assert_eq!(page.mark(), 0);
        page.set_mark(7);
        let last = SLOTS - 1;
        assert_eq!(
            (page.mark(), page.take(last), page.port(last)),
            (7, None, None)
        );
    }
}
