//! vCPUs that each make requests in order, as a guest's do.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use xen_dm::device_model::ServerId;
use xen_dm::ioreq::{Kind, Request};

use crate::fake::devices::states;
use crate::fake::page::{NONE, RESPONSE_READY, SharedPage};
use crate::fake::{self, Domain, Guest};
use crate::kept::Kept;

/// A domain of such vCPUs.
pub(super) type Fake = fake::Fake<Vcpus>;

/// All of its vCPUs, by number.
#[derive(Debug)]
pub(super) struct Vcpus {
    /// What each still wants to do, last first.
    script: Vec<Vec<Request>>,
    /// What the server has said to the last request of each.
    said: Vec<Option<u64>>,
    /// Those that were told to look.
    notified: Vec<bool>,
    /// Those with an event that nobody has seen.
    events: Vec<usize>,
    /// What each has read, or `None` for a write.
    pub(super) answers: Vec<Vec<Option<u64>>>,
}

impl Fake {
    /// A domain whose vCPUs make these requests, each vCPU in order.
    pub(super) fn new(script: Vec<Vec<Request>>) -> Self {
        let vcpus = script.len();
        let last_first = |requests: Vec<Request>| requests.into_iter().rev().collect();
        let mut guest = Vcpus {
            script: script.into_iter().map(last_first).collect(),
            said: vec![None; vcpus],
            notified: vec![false; vcpus],
            events: Vec::new(),
            answers: vec![Vec::new(); vcpus],
        };
        let file = File::from(memfd_create("kept", MemfdFlags::CLOEXEC).unwrap());
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let kept = Kept::create(Path::new(&path), ServerId(1), &states()).unwrap();
        let mut domain = Domain::new(Arc::new(SharedPage::new()), vcpus, kept);
        for vcpu in 0..vcpus {
            guest.go_on(&mut domain, vcpu);
        }
        Self::with_guest(domain, guest)
    }

    /// Has the next server die after so many steps.
    pub(super) fn kill_after(&self, steps: usize) {
        self.world().domain.steps().kill_after(Some(steps));
    }

    /// Has the domain be gone after so many steps.
    pub(super) fn end_after(&self, steps: usize) {
        self.world().domain.life = Some(steps);
    }

    /// Whether every vCPU has done what it wanted.
    pub(super) fn is_done(&self) -> bool {
        let world = self.world();
        let page = world.domain.page();
        let mut vcpus = world.guest.script.iter().enumerate();
        vcpus.all(|(vcpu, script)| script.is_empty() && page.state(vcpu) == NONE)
    }

    /// What each vCPU has read, or `None` for a write.
    pub(super) fn answers(&self) -> Vec<Vec<Option<u64>>> {
        self.world().guest.answers.clone()
    }

    /// The ranges that Xen has, in order.
    pub(super) fn ranges(&self) -> Vec<(u64, u64)> {
        self.world().domain.ranges().as_slice().to_vec()
    }
}

impl Vcpus {
    /// A vCPU takes its answer, if it was told of one, and asks for the next
    /// thing.
    fn go_on(&mut self, domain: &mut Domain, vcpu: usize) {
        let page = domain.page();
        if page.state(vcpu) == RESPONSE_READY {
            if !self.notified[vcpu] {
                return;
            }
            let (said, value) = (self.said[vcpu], page.take_answer(vcpu));
            assert!(said.is_none_or(|said| said == value), "{said:x?} {value:x}");
            self.answers[vcpu].push(said);
        }
        self.notified[vcpu] = false;
        while page.state(vcpu) == NONE
            && let Some(request) = self.script[vcpu].pop()
        {
            if domain.sends(&request) {
                page.ask(vcpu, &request);
                self.events.push(vcpu);
            } else {
                self.answers[vcpu].push(request.read.then_some(u64::MAX));
            }
        }
    }
}

impl Guest for Vcpus {
    fn events(&mut self, _: &mut Domain, vcpus: &mut Vec<usize>) -> Result<(), Errno> {
        vcpus.append(&mut self.events);
        // No event will ever come: there is nothing more to do, or a request
        // was forgotten, which the tests find.
        if vcpus.is_empty() {
            return Err(Errno::CANCELED);
        }
        Ok(())
    }

    fn answered(&mut self, _: &mut Domain, vcpu: usize, _: &Request, read: Option<u64>) {
        self.said[vcpu] = read;
    }

    fn notified(&mut self, domain: &mut Domain, vcpu: usize) {
        self.notified[vcpu] = true;
        self.go_on(domain, vcpu);
    }
}

/// An access of config space.
pub(super) fn config(slot: u8, register: u16, size: u32, write: Option<u64>) -> Request {
    request(
        Kind::PciConfig,
        (u64::from(slot) << 35) | u64::from(register),
        size,
        write,
    )
}

/// An access of memory.
pub(super) fn memory(address: u64, size: u32, write: Option<u64>) -> Request {
    request(Kind::Memory, address, size, write)
}

pub(super) fn request(kind: Kind, address: u64, size: u32, write: Option<u64>) -> Request {
    Request {
        kind,
        address,
        data: write.unwrap_or(0xdead_beef_dead_beef),
        count: 1,
        size,
        read: write.is_none(),
        data_is_pointer: false,
        backwards: false,
    }
}

/// The accesses that put BAR0 of the device in `slot` to `address`.
pub(super) fn place(slot: u8, address: u64) -> [Request; 3] {
    [
        config(slot, 0x04, 2, Some(0)),
        config(slot, 0x10, 4, Some(address)),
        config(slot, 0x04, 2, Some(2)),
    ]
}
