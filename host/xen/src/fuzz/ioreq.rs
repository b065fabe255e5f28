//! The loop that answers vCPUs, on a real page that others write to whenever
//! they like, above a Xen that keeps to its rules. The server dies now and
//! then, and another one takes over.

use std::cell::RefCell;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use rustix::io::Errno;
use vgpu_device::Device;
use vgpu_runtime::{Emulator, Keep};
use vgpu_sandbox::Sandboxed;
use vm_memory::{FileOffset, MmapRegion, VolatileMemory};
use xen_dm::abi::PAGE_SIZE;
use xen_dm::device_model::{Range, ServerId};
use xen_dm::ioreq::{IoreqPage, Kind, Request};

use super::script::Script;
use super::{LOG, SLOTS, Told, memory_file, new_device, overlap, restored};
use crate::hypervisor::Hypervisor;
use crate::kept::{Keeper, Kept, Mapping};
use crate::machine::{Journal, Machine, Placed};
use crate::request_loop;

/// Servers that an input is worth, each of which takes over from the one
/// before.
const SERVERS: usize = 6;
/// vCPUs of the domain; the page has slots for more.
const VCPUS: usize = 3;
const SLOT: usize = 32;
/// Where the state of a request is, and where its value.
const CONTROL: usize = 30;
const DATA: usize = 8;

const READY: u8 = 1;
const IN_PROCESS: u8 = 2;
const RESPONSE_READY: u8 = 3;

/// The guest's memory: not much, and not aligned to a page.
const MEMORY: std::ops::Range<u64> = 0x7800..0x8800;
/// Where the guest likes to put BARs, so that they meet.
const HOMES: [u64; 4] = [0xf100_0000, 0xf100_1000, 0xf200_0000, 0];

/// What a server that dies is made to leave in the middle of.
struct Killed;

/// Steps until the server dies; 0 for not at all.
#[derive(Debug, Clone, Default)]
struct Life(Arc<AtomicU32>);

impl Life {
    fn step(&self) {
        match self.0.load(Relaxed) {
            0 => {}
            steps => {
                self.0.store(steps - 1, Relaxed);
                if steps == 1 {
                    resume_unwind(Box::new(Killed));
                }
            }
        }
    }
}

/// Keeps what the server keeps, and may be the last thing that it does.
#[derive(Debug)]
struct Dying(Keeper, Life);

impl Keep for Dying {
    fn keep(&mut self, offset: usize, part: &[u8]) {
        self.1.step();
        self.0.keep(offset, part);
        self.1.step();
    }
}

impl Journal for Dying {
    fn note(&mut self, mapping: &Mapping) {
        self.1.step();
        self.0.note(mapping);
        self.1.step();
    }
}

/// What one input after the other uses: the page as the server has it, and as
/// the vCPUs have it; the file of kept registers.
struct Files {
    page: IoreqPage,
    shared: MmapRegion,
    _kept: File,
    kept_path: PathBuf,
}

thread_local! {
    static FILES: RefCell<Files> = RefCell::new(Files::new());
}

impl Files {
    fn new() -> Self {
        let (file, _) = memory_file();
        file.set_len(PAGE_SIZE as u64).unwrap();
        let page = IoreqPage::of(&file).unwrap();
        let shared = MmapRegion::from_file(FileOffset::new(file, 0), PAGE_SIZE).unwrap();
        let (kept, kept_path) = memory_file();
        Self {
            page,
            shared,
            _kept: kept,
            kept_path,
        }
    }
}

pub fn run(bytes: &[u8]) {
    FILES.with_borrow(|files| {
        let state = new_device().save();
        let mut domain = Domain {
            script: Script(bytes),
            files,
            kept: Kept::create(&files.kept_path, ServerId(1), &[state; SLOTS.len()]).unwrap(),
            shadows: Vec::new(),
            ranges: Vec::new(),
            memory: vec![0x5a; (MEMORY.end - MEMORY.start) as usize],
            taken: None,
            copies: 0,
            life: Life::default(),
        };
        domain.write(0, &[0; PAGE_SIZE]);
        domain.play();
    });
}

/// Everything that outlives a server: Xen, the guest, the kept registers.
struct Domain<'a> {
    script: Script<'a>,
    files: &'a Files,
    kept: Kept,
    /// The devices as they should be.
    shadows: Vec<(Device, Told)>,
    /// What Xen sends to the server, each with its last address.
    ranges: Vec<(u64, u64)>,
    memory: Vec<u8>,
    /// The request under way, and how often guest memory was copied for it.
    taken: Option<(usize, Request)>,
    copies: u32,
    life: Life,
}

impl Domain<'_> {
    /// One server after another, until the script is over.
    fn play(&mut self) {
        for _ in 0..SERVERS {
            let served = catch_unwind(AssertUnwindSafe(|| {
                let (mut machine, left) = self.machine();
                machine.take_over(self, &left);
                self.check();
                request_loop::catch_up(self, &mut machine, Sandboxed::pretend());
                request_loop::run(self, &mut machine, Sandboxed::pretend())
            }));
            match served {
                Ok(Errno::CANCELED) => return,
                Ok(_) => {}
                Err(panic) if panic.is::<Killed>() => {}
                Err(panic) => resume_unwind(panic),
            }
            self.life = Life::default();
        }
    }

    /// A server as it starts: from what is kept.
    fn machine(&mut self) -> (Machine, Vec<Mapping>) {
        self.taken = None;
        self.follow_kept();
        let (mut placed, mut left) = (Vec::new(), Vec::new());
        for (index, slot) in SLOTS.into_iter().enumerate() {
            let (state, mapping) = self.kept.device(index);
            let (device, told) = restored(&state).expect("a device keeps what it can take");
            let dying = || Box::new(Dying(self.kept.keeper(index), self.life.clone()));
            let emulator = Emulator::new(device, false, LOG.clone()).with_keep(dying());
            placed.push(Placed::new(slot, Arc::new(emulator), told, dying()));
            left.push(mapping);
        }
        (Machine::new(placed), left)
    }

    fn follow_kept(&mut self) {
        let shadow = |index| restored(&self.kept.device(index).0).expect("a state");
        self.shadows = (0..SLOTS.len()).map(shadow).collect();
    }

    fn page(&self) -> [u8; PAGE_SIZE] {
        let mut page = [0; PAGE_SIZE];
        let slice = self.files.shared.get_slice(0, PAGE_SIZE).unwrap();
        slice.copy_to(&mut page);
        page
    }

    fn write(&self, at: usize, bytes: &[u8]) {
        let bytes = &bytes[..bytes.len().min(PAGE_SIZE - at)];
        let slice = self.files.shared.get_slice(at, bytes.len()).unwrap();
        slice.copy_from(bytes);
    }

    /// Where somebody else may write to the page, and the server may die.
    fn meanwhile(&mut self) {
        if let 0xf0.. = self.script.u8() {
            self.scribble();
        }
        self.life.step();
    }

    fn scribble(&mut self) {
        // Mostly where requests are.
        let at = match self.script.u16() {
            at @ 0xf000.. => at % PAGE_SIZE as u16,
            at => at % (SLOT * VCPUS) as u16,
        };
        let count = usize::from(self.script.u8() % 9);
        let bytes = self.script.bytes(count);
        self.write(at.into(), bytes);
    }

    /// A vCPU asks for something, as Xen has it do.
    fn ask(&mut self, how: u8) -> usize {
        let vcpu = usize::from(how) % VCPUS;
        let kind = match self.script.u8() {
            kind @ 0..16 => kind % 4,
            other => other,
        };
        let slot = u64::from(SLOTS[usize::from(how >> 4) % SLOTS.len()]);
        let address = match kind {
            2 => slot << 35 | u64::from(self.script.u8()),
            1 => HOMES[usize::from(how >> 5) % HOMES.len()] + u64::from(self.script.u16() % 0x1100),
            _ => self.script.u64(),
        };
        let shape = self.script.u8();
        let data = match shape & 3 {
            0 => HOMES[usize::from(self.script.u8()) % HOMES.len()],
            1 => self.script.u8().into(),
            2 => MEMORY.start + u64::from(self.script.u16() % 0x1100),
            _ => self.script.u64(),
        };
        let size = 1 << (shape >> 2 & 3);
        let (count, size) = match shape >> 4 {
            0..12 => (1, size),
            12 => (self.script.u8().into(), size),
            13 => (self.script.u32() % 5000, size),
            _ => (self.script.u32(), self.script.u32()),
        };
        let flags = self.script.u8() & 0x70;
        let mut bytes = [0; SLOT];
        bytes[..8].copy_from_slice(&address.to_le_bytes());
        bytes[8..16].copy_from_slice(&data.to_le_bytes());
        bytes[16..20].copy_from_slice(&count.to_le_bytes());
        bytes[20..24].copy_from_slice(&size.to_le_bytes());
        bytes[24..28].copy_from_slice(&7u32.to_le_bytes());
        bytes[CONTROL] = READY | flags;
        bytes[31] = kind;
        self.write(vcpu * SLOT, &bytes);
        vcpu
    }

    /// Has the shadows do what a request asks for, and returns what it reads;
    /// `None` where that depends on more than they know.
    fn expect(&mut self, request: &Request) -> Option<Option<u64>> {
        let sized = matches!(request.size, 1 | 2 | 4 | 8) && request.count <= 4096;
        match request.kind {
            Kind::Invalidate => return Some(None),
            Kind::Memory | Kind::PciConfig if sized => {}
            _ => return Some(request.read.then_some(u64::MAX)),
        }
        if request.data_is_pointer || self.overlaps() {
            return None;
        }
        let size = request.size as usize;
        let mut value = request.data;
        for index in 0..u64::from(request.count) {
            let step = index * u64::from(request.size);
            let address = match (request.kind, request.backwards) {
                (Kind::PciConfig, _) => request.address,
                (_, false) => request.address.wrapping_add(step),
                (_, true) => request.address.wrapping_sub(step),
            };
            let mut data = value.to_le_bytes();
            let data = &mut data[..size];
            self.access(request.kind, address, request.read, data);
            // The devices may meet by what was written.
            if self.overlaps() {
                return None;
            }
            if request.read {
                let mut read = [0; 8];
                read[..size].copy_from_slice(data);
                value = u64::from_le_bytes(read);
            }
        }
        Some(request.read.then_some(value))
    }

    fn access(&mut self, kind: Kind, address: u64, read: bool, data: &mut [u8]) {
        for ((device, told), slot) in self.shadows.iter_mut().zip(SLOTS) {
            if kind == Kind::PciConfig {
                let (function, register) = (address >> 32, address as u32);
                if function != u64::from(slot) << 3 || register > 0xffff {
                    continue;
                }
                match read {
                    true => device.config_read(register as u16, data),
                    false => {
                        let effects = device.config_write(register as u16, data);
                        effects.bar0.update(told);
                    }
                }
                return;
            }
            let Some(range) = told.as_ref().filter(|range| range.contains(&address)) else {
                continue;
            };
            let offset = address - range.start;
            if read {
                let value = device.bar0_read(offset, data.len());
                let value = value.unwrap_or(0).to_le_bytes();
                data.copy_from_slice(&value[..data.len()]);
            } else {
                let mut value = [0; 8];
                value[..data.len()].copy_from_slice(data);
                let _ = device.bar0_write(offset, data.len(), u64::from_le_bytes(value));
            }
            return;
        }
        if read {
            data.fill(0xff);
        }
    }

    /// Whether the guest has put one BAR0 over another.
    fn overlaps(&self) -> bool {
        match (&self.shadows[0].1, &self.shadows[1].1) {
            (Some(first), Some(second)) => overlap(first, second),
            _ => false,
        }
    }

    /// What holds between two requests.
    fn check(&self) {
        let mut wanted = Vec::new();
        for (index, (device, told)) in self.shadows.iter().enumerate() {
            let (state, left) = self.kept.device(index);
            assert!(
                state == device.save(),
                "device {index} is not as it should be"
            );
            let new = told.clone();
            wanted.extend(new.as_ref().map(|range| (range.start, range.end - 1)));
            assert_eq!(left, Mapping { old: None, new });
        }
        let mut ranges = self.ranges.clone();
        ranges.sort_unstable();
        wanted.sort_unstable();
        if self.overlaps() {
            // Xen takes one of them.
            assert!(
                ranges.len() == 1 && wanted.contains(&ranges[0]),
                "{ranges:x?}"
            );
        } else {
            assert_eq!(ranges, wanted);
        }
    }

    fn guest_memory(&mut self, address: u64, count: usize) -> Result<&mut [u8], Errno> {
        let (_, request) = self.taken.expect("a copy for no request");
        self.copies += 1;
        assert!(request.data_is_pointer && self.copies <= request.count.min(4096));
        let start = address.checked_sub(MEMORY.start).ok_or(Errno::FAULT)? as usize;
        let end = start.checked_add(count).ok_or(Errno::FAULT)?;
        self.memory.get_mut(start..end).ok_or(Errno::FAULT)
    }
}

impl Hypervisor for Domain<'_> {
    fn map(&mut self, range: Range, mapped: bool) -> Result<(), Errno> {
        self.meanwhile();
        let Range::Memory { first, last } = range else {
            panic!("PCI functions are the supervisor's");
        };
        assert!(first <= last);
        if !mapped {
            let at = self.ranges.iter().position(|known| *known == (first, last));
            self.ranges.swap_remove(at.ok_or(Errno::NOENT)?);
        } else if self
            .ranges
            .iter()
            .any(|known| known.0 <= last && first <= known.1)
        {
            return Err(Errno::EXIST);
        } else {
            self.ranges.push((first, last));
        }
        self.life.step();
        Ok(())
    }

    fn vcpus(&self) -> usize {
        VCPUS
    }

    fn wait(&mut self, vcpus: &mut Vec<usize>) -> Result<(), Errno> {
        vcpus.clear();
        while !self.script.is_over() {
            match self.script.u8() {
                how @ 0..0xc0 => {
                    vcpus.push(self.ask(how));
                    return Ok(());
                }
                0xc0..0xd0 => self.scribble(),
                0xd0..0xe0 => {
                    // Events without requests, or several at once.
                    let told = self.script.u8();
                    vcpus.extend((0..VCPUS).filter(|vcpu| told & 1 << vcpu != 0));
                    return Ok(());
                }
                0xe0..0xf0 => self.life.0.store(self.script.u8().into(), Relaxed),
                // The server ends in order.
                _ => return Err(Errno::INTR),
            }
        }
        Err(Errno::CANCELED)
    }

    fn take(&mut self, vcpu: usize) -> Option<Request> {
        self.life.step();
        let before = self.page();
        let taken = self.files.page.take(vcpu);
        let slot = vcpu * SLOT;
        let bytes = &before[slot..slot + SLOT];
        let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        let state = bytes[CONTROL] & 0xf;
        // One state on, and nothing else; or nothing at all.
        let mut expected = before;
        if state == READY {
            expected[slot + CONTROL] ^= READY ^ IN_PROCESS;
        }
        assert!(self.page() == expected, "the page changed elsewhere");
        assert_eq!(taken.is_some(), matches!(state, READY | IN_PROCESS));
        let request = taken?;
        let expected = Request {
            kind: bytes[31].into(),
            address: word(0),
            data: word(8),
            count: word(16) as u32,
            size: (word(16) >> 32) as u32,
            data_is_pointer: bytes[CONTROL] & 0x10 != 0,
            read: bytes[CONTROL] & 0x20 != 0,
            backwards: bytes[CONTROL] & 0x40 != 0,
        };
        assert_eq!(request, expected);
        assert_eq!(self.taken.replace((vcpu, request)), None, "two at once");
        self.copies = 0;
        self.meanwhile();
        Some(request)
    }

    fn complete(&mut self, vcpu: usize, read: Option<u64>) {
        self.meanwhile();
        let (taken, request) = self.taken.take().expect("an answer to nothing");
        assert_eq!(vcpu, taken);
        assert!(read.is_none() || request.read);
        match self.expect(&request) {
            Some(None) => assert_eq!(read, None),
            Some(Some(expected)) => {
                // Above the access's own bytes nobody looks.
                let unseen = 64 - 8 * request.size.clamp(1, 8);
                let seen = |value: u64| value << unseen;
                assert_eq!(read.map(seen), Some(seen(expected)), "{request:x?}");
            }
            None => self.follow_kept(),
        }
        self.check();

        let before = self.page();
        self.files.page.complete(vcpu, read);
        let slot = vcpu * SLOT;
        let mut expected = before;
        if before[slot + CONTROL] & 0xf == IN_PROCESS {
            expected[slot + CONTROL] ^= IN_PROCESS ^ RESPONSE_READY;
            if let Some(value) = read {
                expected[slot + DATA..slot + DATA + 8].copy_from_slice(&value.to_le_bytes());
            }
        }
        assert!(self.page() == expected, "the page changed elsewhere");
        self.life.step();
    }

    fn notify(&mut self, vcpu: usize) {
        assert!(vcpu < VCPUS);
        self.life.step();
    }

    fn read_guest(&mut self, address: u64, data: &mut [u8]) -> Result<(), Errno> {
        self.meanwhile();
        let memory = self.guest_memory(address, data.len())?;
        data.copy_from_slice(memory);
        Ok(())
    }

    fn write_guest(&mut self, address: u64, data: &[u8]) -> Result<(), Errno> {
        self.meanwhile();
        self.guest_memory(address, data.len())?
            .copy_from_slice(data);
        Ok(())
    }
}
