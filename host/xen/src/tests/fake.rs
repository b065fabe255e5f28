//! A hypervisor that keeps to Xen's rules, and sees that the server does.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, MutexGuard};

use rustix::io::Errno;
use vgpu_device::{Device, DeviceConfig, STATE_SIZE};
use vgpu_pci::Slot;
use vgpu_pci::capability::PortType;
use vgpu_runtime::{Emulator, Keep, Log};
use vgpu_sandbox::Sandboxed;
use xen_dm::device_model::Range;
use xen_dm::ioreq::{Kind, Request};

use crate::hypervisor::Hypervisor;
use crate::kept::Mapping;
use crate::machine::{Journal, Machine, Placed};
use crate::request_loop;

pub(super) const SLOTS: [u8; 3] = [0x18, 0x19, LARGE];

/// The slot of a device whose BAR0 has 64 KiB.
pub(super) const LARGE: u8 = 0x1a;

fn device(slot: u8) -> Device {
    let mut config = DeviceConfig {
        slot: Slot::try_from(slot).unwrap(),
        ..DeviceConfig::default()
    };
    if slot == LARGE {
        config.bar0_size = 0x1_0000.try_into().unwrap();
    }
    Device::new(&config, PortType::RootComplexIntegratedEndpoint)
}

/// What a vCPU's slot of the page is in.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    None,
    Ready(Request),
    InProcess(Request),
    Answered(Option<u64>),
}

/// What a process that dies is made to leave in the middle of.
pub(super) struct Killed;

/// Everything that outlives a server: Xen, the domain, the kept registers.
#[derive(Debug)]
pub(super) struct World {
    states: Vec<State>,
    /// vCPUs with an event that nobody has seen.
    events: Vec<usize>,
    /// vCPUs that were told to look.
    notified: Vec<bool>,
    /// What each vCPU still wants to do, last first.
    script: Vec<Vec<Request>>,
    /// What each vCPU has read, or `None` for a write.
    pub(super) answers: Vec<Vec<Option<u64>>>,
    pub(super) ranges: Vec<(u64, u64)>,
    /// Calls that Xen refused, and ranges that were given back.
    pub(super) refused: usize,
    pub(super) unmapped: usize,
    pub(super) memory: BTreeMap<u64, u8>,
    pub(super) kept: Vec<[u8; STATE_SIZE]>,
    left: Vec<Mapping>,
    /// Steps until the process is killed.
    steps: Option<usize>,
    /// Steps until the domain is gone.
    life: Option<usize>,
}

/// The world, as each part of a server reaches it.
#[derive(Debug, Clone)]
pub(super) struct Fake(Arc<Mutex<World>>);

impl Fake {
    /// A domain whose vCPUs make these requests, each vCPU in order.
    pub(super) fn new(script: Vec<Vec<Request>>) -> Self {
        let vcpus = script.len();
        let script = script
            .into_iter()
            .map(|requests| requests.into_iter().rev().collect())
            .collect();
        let mut world = World {
            states: vec![State::None; vcpus],
            events: Vec::new(),
            notified: vec![false; vcpus],
            script,
            answers: vec![Vec::new(); vcpus],
            ranges: Vec::new(),
            refused: 0,
            unmapped: 0,
            memory: BTreeMap::new(),
            kept: SLOTS.iter().map(|slot| device(*slot).save()).collect(),
            left: vec![Mapping::default(); SLOTS.len()],
            steps: None,
            life: None,
        };
        for vcpu in 0..vcpus {
            world.go_on(vcpu);
        }
        Self(Arc::new(Mutex::new(world)))
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Has the next server die after so many steps.
    pub(super) fn kill_after(&self, steps: usize) {
        self.world().steps = Some(steps);
    }

    /// Has the domain be gone after so many steps.
    pub(super) fn end_after(&self, steps: usize) {
        self.world().life = Some(steps);
    }

    /// Whether every vCPU has done what it wanted.
    pub(super) fn is_done(&self) -> bool {
        let world = self.world();
        world.states.iter().all(|state| *state == State::None)
            && world.script.iter().all(Vec::is_empty)
    }

    /// A server as it starts: from what is kept. It runs until there is
    /// nothing more to do, and returns whether it was killed.
    pub(super) fn serve(&self) -> bool {
        let served = catch_unwind(AssertUnwindSafe(|| {
            let (mut machine, left) = self.machine();
            let mut hypervisor = self.clone();
            machine.take_over(&mut hypervisor, &left);
            request_loop::catch_up(&mut hypervisor, &mut machine, Sandboxed::pretend());
            request_loop::run(&mut hypervisor, &mut machine, Sandboxed::pretend())
        }));
        match served {
            Ok(_) => false,
            Err(panic) if panic.is::<Killed>() => {
                self.world().steps = None;
                true
            }
            Err(panic) => resume_unwind(panic),
        }
    }

    pub(super) fn machine(&self) -> (Machine, Vec<Mapping>) {
        let log = Log::start("", std::io::sink()).unwrap();
        let (kept, left) = {
            let world = self.world();
            (world.kept.clone(), world.left.clone())
        };
        let placed = kept
            .iter()
            .zip(SLOTS)
            .enumerate()
            .map(|(index, (state, slot))| {
                let mut device = device(slot);
                let mut bar0 = None;
                let effects = device.restore(state).expect("kept state");
                effects.bar0.update(&mut bar0);
                let keeper = || Keeper(self.clone(), index);
                let emulator = Emulator::new(device, false, log.clone());
                let emulator = Arc::new(emulator.with_keep(Box::new(keeper())));
                Placed::new(slot, emulator, bar0, Box::new(keeper()))
            });
        (Machine::new(placed.collect()), left)
    }

    /// Where the process may die.
    fn step(&self) {
        let mut world = self.world();
        match &mut world.steps {
            Some(0) => {
                drop(world);
                resume_unwind(Box::new(Killed));
            }
            Some(steps) => *steps -= 1,
            None => {}
        }
    }

    /// Where the domain may be gone.
    fn alive(&self) -> Result<(), Errno> {
        match &mut self.world().life {
            Some(0) => Err(Errno::SRCH),
            Some(steps) => {
                *steps -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl World {
    /// A vCPU takes its answer, if it was told of one, and asks for the next
    /// thing.
    fn go_on(&mut self, vcpu: usize) {
        if let State::Answered(read) = self.states[vcpu] {
            if !self.notified[vcpu] {
                return;
            }
            self.answers[vcpu].push(read);
            self.states[vcpu] = State::None;
        }
        self.notified[vcpu] = false;
        while self.states[vcpu] == State::None
            && let Some(request) = self.script[vcpu].pop()
        {
            if self.is_for_server(&request) {
                self.states[vcpu] = State::Ready(request);
                self.events.push(vcpu);
            } else {
                self.answers[vcpu].push(request.read.then_some(u64::MAX));
            }
        }
    }

    /// Xen answers by itself where no range is.
    fn is_for_server(&self, request: &Request) -> bool {
        let mut ranges = self.ranges.iter();
        request.kind != Kind::Memory
            || ranges.any(|(first, last)| (*first..=*last).contains(&request.address))
    }
}

#[derive(Debug)]
struct Keeper(Fake, usize);

impl Keep for Keeper {
    fn keep(&mut self, offset: usize, part: &[u8]) {
        self.0.step();
        self.0.world().kept[self.1][offset..offset + part.len()].copy_from_slice(part);
        self.0.step();
    }
}

impl Journal for Keeper {
    fn note(&mut self, mapping: &Mapping) {
        self.0.step();
        self.0.world().left[self.1] = mapping.clone();
        self.0.step();
    }
}

impl Hypervisor for Fake {
    fn map(&mut self, range: Range, mapped: bool) -> Result<(), Errno> {
        self.step();
        self.alive()?;
        let Range::Memory { first, last } = range else {
            unreachable!("PCI functions are the supervisor's")
        };
        assert!(first <= last);
        let mut world = self.world();
        if mapped {
            if world.ranges.iter().any(|r| r.0 <= last && first <= r.1) {
                world.refused += 1;
                return Err(Errno::EXIST);
            }
            world.ranges.push((first, last));
        } else {
            // As rangeset_remove_range of Xen's common/rangeset.c.
            let at = world
                .ranges
                .iter()
                .position(|r| r.0 <= first && last <= r.1);
            let around = world.ranges.swap_remove(at.ok_or(Errno::NOENT)?);
            if around.0 < first {
                world.ranges.push((around.0, first - 1));
            }
            if last < around.1 {
                world.ranges.push((last + 1, around.1));
            }
            world.unmapped += 1;
        }
        drop(world);
        self.step();
        Ok(())
    }

    fn vcpus(&self) -> usize {
        self.world().states.len()
    }

    fn wait(&mut self, vcpus: &mut Vec<usize>) -> Result<(), Errno> {
        self.step();
        self.alive()?;
        let mut world = self.world();
        vcpus.clear();
        vcpus.append(&mut world.events);
        // No event will ever come: there is nothing more to do, or a request
        // was forgotten, which the tests find.
        if vcpus.is_empty() {
            return Err(Errno::CANCELED);
        }
        drop(world);
        self.step();
        Ok(())
    }

    fn take(&mut self, vcpu: usize) -> Option<Request> {
        self.step();
        let mut world = self.world();
        let (State::Ready(request) | State::InProcess(request)) = world.states[vcpu] else {
            return None;
        };
        world.states[vcpu] = State::InProcess(request);
        drop(world);
        self.step();
        Some(request)
    }

    fn complete(&mut self, vcpu: usize, read: Option<u64>) {
        self.step();
        let mut world = self.world();
        // Any other transition crashes a guest of Xen.
        assert!(matches!(world.states[vcpu], State::InProcess(_)));
        world.states[vcpu] = State::Answered(read);
        drop(world);
        self.step();
        self.notify(vcpu);
    }

    fn notify(&mut self, vcpu: usize) {
        self.step();
        let mut world = self.world();
        world.notified[vcpu] = true;
        world.go_on(vcpu);
        drop(world);
        self.step();
    }

    fn read_guest(&mut self, address: u64, data: &mut [u8]) -> Result<(), Errno> {
        self.step();
        let world = self.world();
        for (offset, byte) in (0..).zip(data) {
            let at = address.wrapping_add(offset);
            *byte = *world.memory.get(&at).ok_or(Errno::FAULT)?;
        }
        Ok(())
    }

    fn write_guest(&mut self, address: u64, data: &[u8]) -> Result<(), Errno> {
        self.step();
        let mut world = self.world();
        for (offset, byte) in (0..).zip(data) {
            let at = address.wrapping_add(offset);
            *world.memory.get_mut(&at).ok_or(Errno::FAULT)? = *byte;
        }
        Ok(())
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
