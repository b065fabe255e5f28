//! The loop that answers vCPUs, on a real page that others write to whenever
//! they like, above a Xen that keeps to its rules. The server dies now and
//! then, and another one takes over.

use std::cell::RefCell;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::io::Errno;
use vgpu_device::Device;
use xen_dm::abi::PAGE_SIZE;
use xen_dm::device_model::ServerId;
use xen_dm::ioreq::{Kind, Request};

use super::memory_file::memory_file;
use super::script::Script;
use crate::fake::devices::{SLOTS, Told, restored, states};
use crate::fake::page::{SLOT, SharedPage};
use crate::fake::{Domain, Fake, Guest, Ranges};
use crate::kept::Kept;
use crate::machine::MAX_COUNT;
use crate::mapping::Mapping;

/// Servers that an input is worth, each of which takes over from the one
/// before.
const SERVERS: usize = 6;
/// vCPUs of the domain; the page has slots for more.
const VCPUS: usize = 3;

/// The guest's memory: not much, and not aligned to a page.
const MEMORY: std::ops::Range<u64> = 0x7800..0x8800;
/// Where the guest likes to put BARs, so that they meet.
const HOMES: [u64; 4] = [0xf100_0000, 0xf100_1000, 0xf200_0000, 0];

/// What one input after the other uses: the page, and the file of kept registers.
struct Files {
    page: Arc<SharedPage>,
    _kept: File,
    kept_path: PathBuf,
}

thread_local! {
    static FILES: RefCell<Files> = RefCell::new(Files::new());
}

impl Files {
    fn new() -> Self {
        let (kept, kept_path) = memory_file();
        Self {
            page: Arc::new(SharedPage::new()),
            _kept: kept,
            kept_path,
        }
    }
}

pub fn run(bytes: &[u8]) {
    FILES.with_borrow(|files| {
        let kept = Kept::create(&files.kept_path, ServerId(1), &states()).unwrap();
        let mut domain = Domain::new(Arc::clone(&files.page), VCPUS, kept);
        let memory = vec![0x5a; (MEMORY.end - MEMORY.start) as usize];
        domain.memory().add(MEMORY.start, memory);
        let guest = Scripted {
            script: Script(bytes),
            shadows: Vec::new(),
        };
        let xen = Fake::with_guest(domain, guest);
        // One server after another, until the script is over.
        for _ in 0..SERVERS {
            let killed = xen.serve();
            if !killed && xen.world().guest.script.is_over() {
                return;
            }
        }
    });
}

/// vCPUs that do what the fuzzer's bytes say, and somebody else who writes to the page.
struct Scripted<'a> {
    script: Script<'a>,
    /// The devices as they should be.
    shadows: Vec<(Device, Told)>,
}

impl Guest for Scripted<'_> {
    fn started(&mut self, domain: &mut Domain) {
        self.follow_kept(domain);
    }

    fn taken_over(&mut self, domain: &mut Domain) {
        self.check(domain);
    }

    fn meanwhile(&mut self, domain: &mut Domain) {
        if let 0xf0.. = self.script.u8() {
            self.scribble(domain);
        }
    }

    fn events(&mut self, domain: &mut Domain, vcpus: &mut Vec<usize>) -> Result<(), Errno> {
        while !self.script.is_over() {
            match self.script.u8() {
                how @ 0..0xc0 => {
                    vcpus.push(self.ask(domain, how));
                    return Ok(());
                }
                0xc0..0xd0 => self.scribble(domain),
                0xd0..0xe0 => {
                    // Events without requests, or several at once.
                    let told = self.script.u8();
                    vcpus.extend((0..VCPUS).filter(|vcpu| told & 1 << vcpu != 0));
                    return Ok(());
                }
                0xe0..0xf0 => {
                    let steps = usize::from(self.script.u8()).checked_sub(1);
                    domain.steps().kill_after(steps);
                }
                // The server ends in order.
                _ => return Err(Errno::INTR),
            }
        }
        Err(Errno::CANCELED)
    }

    fn answered(
        &mut self,
        domain: &mut Domain,
        _vcpu: usize,
        request: &Request,
        read: Option<u64>,
    ) {
        match self.expect(request) {
            Some(None) => assert_eq!(read, None),
            Some(Some(expected)) => {
                // Above the access's own bytes nobody looks.
                let unseen = 64 - 8 * request.size.clamp(1, 8);
                let seen = |value: u64| value << unseen;
                assert_eq!(read.map(seen), Some(seen(expected)), "{request:x?}");
            }
            None => self.follow_kept(domain),
        }
        self.check(domain);
    }
}

impl Scripted<'_> {
    fn follow_kept(&mut self, domain: &Domain) {
        let shadow = |(index, slot)| {
            let (state, _) = domain.kept().device(index);
            restored(slot, &state).expect("a state")
        };
        self.shadows = SLOTS.into_iter().enumerate().map(shadow).collect();
    }

    fn scribble(&mut self, domain: &Domain) {
        // Mostly where requests are.
        let at = match self.script.u16() {
            at @ 0xf000.. => at % PAGE_SIZE as u16,
            at => at % (SLOT * VCPUS) as u16,
        };
        let count = usize::from(self.script.u8() % 9);
        let bytes = self.script.bytes(count);
        domain.page().write(at.into(), bytes);
    }

    /// A vCPU asks for something, also where Xen would answer.
    fn ask(&mut self, domain: &Domain, how: u8) -> usize {
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
        let flags = self.script.u8();
        let request = Request {
            kind: kind.into(),
            address,
            data,
            count,
            size,
            read: flags & 0x20 != 0,
            data_is_pointer: flags & 0x10 != 0,
            backwards: flags & 0x40 != 0,
        };
        domain.page().ask(vcpu, &request);
        vcpu
    }

    /// Has the shadows do what a request asks for, and returns what it reads;
    /// `None` where that depends on more than they know.
    fn expect(&mut self, request: &Request) -> Option<Option<u64>> {
        let sized = matches!(request.size, 1 | 2 | 4 | 8) && request.count <= MAX_COUNT;
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

    /// What the BARs ask for: each range with its last address.
    fn wanted(&self) -> Vec<(u64, u64)> {
        let told = self.shadows.iter().filter_map(|(_, told)| told.as_ref());
        told.map(|range| (range.start, range.end - 1)).collect()
    }

    /// Whether the guest has put one BAR0 over another.
    fn overlaps(&self) -> bool {
        let wanted = self.wanted();
        let mut pairs = (0..wanted.len()).flat_map(|b| (0..b).map(move |a| (a, b)));
        pairs.any(|(a, b)| meet(wanted[a], wanted[b]))
    }

    /// What holds between two requests.
    fn check(&self, domain: &Domain) {
        for (index, (device, told)) in self.shadows.iter().enumerate() {
            let (state, left) = domain.kept().device(index);
            assert!(
                state == device.save(),
                "device {index} is not as it should be"
            );
            let new = told.clone();
            assert_eq!(left, Mapping { old: None, new });
        }
        let (wanted, ranges) = (self.wanted(), domain.ranges());
        assert!(
            choices(&wanted).any(|chosen| Ranges::of(chosen) == *ranges),
            "{ranges:x?} for {wanted:x?}"
        );
    }
}

fn meet(a: (u64, u64), b: (u64, u64)) -> bool {
    a.0 <= b.1 && b.0 <= a.1
}

/// What Xen may have of these ranges, which may meet: as many as go together, so that there is no room for another.
fn choices(wanted: &[(u64, u64)]) -> impl Iterator<Item = Vec<(u64, u64)>> {
    (0..1 << wanted.len()).filter_map(move |chosen: usize| {
        let is_chosen = |at: usize| chosen & 1 << at != 0;
        let fits = |at: usize| {
            let mut others = (0..wanted.len()).filter(|other| *other != at && is_chosen(*other));
            others.all(|other| !meet(wanted[at], wanted[other]))
        };
        let all = 0..wanted.len();
        all.clone().all(|at| is_chosen(at) == fits(at)).then(|| {
            let chosen = all.filter(|at| is_chosen(*at));
            chosen.map(|at| wanted[at]).collect()
        })
    })
}
