//! A domain, as Xen has it, and what is kept of its devices.

use std::sync::Arc;

use rustix::io::Errno;
use xen_dm::device_model::Range;
use xen_dm::ioreq::{Kind, Request};

use super::memory::Memory;
use super::page::SharedPage;
use super::ranges::Ranges;
use super::steps::Steps;
use crate::kept::Kept;
use crate::machine::MAX_COUNT;

/// A domain, with the one ioreq server that is tested.
#[derive(Debug)]
pub(crate) struct Domain {
    page: Arc<SharedPage>,
    vcpus: usize,
    ranges: Ranges,
    memory: Memory,
    kept: Kept,
    /// The request under way, and how often guest memory was copied for it.
    taken: Option<(usize, Request)>,
    copies: u32,
    /// Ranges that Xen refused, and that were given back.
    pub(crate) refused: usize,
    pub(crate) unmapped: usize,
    /// Steps until the domain is gone.
    pub(crate) life: Option<usize>,
    steps: Steps,
}

impl Domain {
    /// A new one, whose server is new too.
    pub(crate) fn new(page: Arc<SharedPage>, vcpus: usize, kept: Kept) -> Self {
        page.clear();
        Self {
            page,
            vcpus,
            ranges: Ranges::default(),
            memory: Memory::default(),
            kept,
            taken: None,
            copies: 0,
            refused: 0,
            unmapped: 0,
            life: None,
            steps: Steps::default(),
        }
    }

    pub(crate) fn page(&self) -> &SharedPage {
        &self.page
    }

    pub(crate) fn vcpus(&self) -> usize {
        self.vcpus
    }

    pub(crate) fn ranges(&self) -> &Ranges {
        &self.ranges
    }

    pub(crate) fn memory(&mut self) -> &mut Memory {
        &mut self.memory
    }

    pub(crate) fn kept(&self) -> &Kept {
        &self.kept
    }

    pub(crate) fn steps(&self) -> &Steps {
        &self.steps
    }

    /// Whether Xen sends a request to the server. It answers by itself where no range is.
    pub(crate) fn sends(&self, request: &Request) -> bool {
        request.kind != Kind::Memory || self.ranges.contains(request.address)
    }

    /// Where the domain may be gone.
    pub(super) fn live(&mut self) -> Result<(), Errno> {
        match &mut self.life {
            Some(0) => Err(Errno::SRCH),
            Some(steps) => {
                *steps -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    pub(super) fn map(&mut self, range: Range, mapped: bool) -> Result<(), Errno> {
        self.live()?;
        let Range::Memory { first, last } = range else {
            panic!("PCI functions are the supervisor's");
        };
        assert!(first <= last);
        if mapped {
            let mapped = self.ranges.map(first, last);
            self.refused += usize::from(mapped.is_err());
            return mapped;
        }
        self.ranges.unmap(first, last)?;
        self.unmapped += 1;
        Ok(())
    }

    /// A server that has died had taken it.
    pub(super) fn forget_taken(&mut self) {
        self.taken = None;
    }

    pub(super) fn take(&mut self, vcpu: usize) -> Option<Request> {
        let request = self.page.take(vcpu)?;
        assert_eq!(self.taken.replace((vcpu, request)), None, "two at once");
        self.copies = 0;
        Some(request)
    }

    /// The server has an answer: to what it took, and a value to a read alone.
    pub(super) fn answered(&mut self, vcpu: usize, read: Option<u64>) -> Request {
        let (taken, request) = self.taken.take().expect("an answer to nothing");
        assert_eq!(vcpu, taken);
        assert!(read.is_none() || request.read);
        request
    }

    pub(super) fn complete(&self, vcpu: usize, read: Option<u64>) {
        self.page.complete(vcpu, read);
    }

    /// The guest's memory, for a copy: where the request is for one, and no more often than it says.
    pub(super) fn copied(&mut self, address: u64, count: usize) -> Result<&mut [u8], Errno> {
        let (_, request) = self.taken.expect("a copy for no request");
        self.copies += 1;
        assert!(request.data_is_pointer && self.copies <= request.count.min(MAX_COUNT));
        self.memory.bytes(address, count)
    }
}
