//! A device and its host as threads of a test: what this crate relies on, in as few words as the ABI allows.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use vgpu_abi::bar0::{
    ABI, ABI_VERSION, ACK, COMMAND, DATA, DATA_LENGTH, DATA_OFFSET, DOORBELLS, DRIVER, FEATURES,
    LIMITS, MAGIC, MAGIC_VALUE, PINNED_MAX, REQUEST_ID, STATE, STATUS,
};
use vgpu_abi::features::{SEGMENT_ADDRESS, driver, state};
use vgpu_abi::mailbox::{self, Add, Channel, Open, Region, Reply, code, status};
use vgpu_abi::segment::{PAGE, PAGES_MAX, PER_PAGE, Segment};
use vgpu_ring::echo;
use vgpu_ring::host::Host;
use vgpu_ring::layout::{ARENA, SESSION};
use vgpu_ring::wait::Looks;
use vgpu_ring::{Memory, NO_SLOT, Next, Park, Record, Slice, Wake};
use vgpu_window::Window;
use zerocopy::{FromBytes, IntoBytes};

use crate::directory::Page;
use crate::{Pages, Registers};

/// How often Status reads 0 before an answer.
const BUSY: u32 = 3;

/// Reads a directory as a host does: gives the address of each page of the memory. `at` gives what lies at an address.
#[must_use]
pub fn decode(directory: u64, at: impl Fn(u64) -> Option<Page>) -> Option<Vec<u64>> {
    let (mut address, mut memory) = (directory, Vec::new());
    for _ in 0..PAGES_MAX * 40 {
        let page = at(address)?;
        let count = (page[0] >> 32) as u32;
        if page[0] as u32 != MAGIC_VALUE || count == 0 || count > PER_PAGE {
            return None;
        }
        for word in &page[2..2 + count as usize] {
            let segment = Segment::from_word(*word)?;
            let pages = segment.address..segment.address + segment.length;
            memory.extend(pages.step_by(PAGE as usize));
        }
        address = page[1];
        if address == 0 {
            return Some(memory);
        }
    }
    None
}

/// What a command gives, or its code.
type Outcome = Result<Vec<u8>, u16>;

/// The device. Each of its channels has a thread.
#[derive(Debug)]
pub struct Fake {
    registers: Mutex<[u32; 1024]>,
    /// Reads of Status until the answer is there, and the answer.
    pending: Mutex<Option<(u32, Outcome)>>,
    /// All memory of the guest that there is, with the addresses of its pages.
    memory: Mutex<Vec<(Vec<u64>, Window)>>,
    channels: Mutex<BTreeMap<u32, Worker>>,
    state: Cell<u32>,
    /// Doorbells that are yet to be lost.
    lost: Cell<u32>,
    /// Rounds of a word to and fro until the host gives up.
    rounds: Arc<AtomicU64>,
}

#[derive(Debug)]
struct Worker {
    regions: Regions,
    bell: Arc<Bell>,
    thread: Option<JoinHandle<()>>,
}

type Regions = Arc<Mutex<BTreeMap<u32, Window>>>;

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Fake {
    /// A device that offers these features, of a host in this state.
    #[must_use]
    pub fn new(features: u64, state: u32) -> Self {
        let fake = Self {
            registers: Mutex::new([0; 1024]),
            pending: Mutex::default(),
            memory: Mutex::default(),
            channels: Mutex::default(),
            state: Cell::new(state),
            lost: Cell::new(0),
            rounds: Arc::new(AtomicU64::new(u64::MAX)),
        };
        for (offset, value) in [
            (MAGIC, MAGIC_VALUE),
            (ABI, ABI_VERSION),
            (FEATURES, features as u32),
            (LIMITS, 256 << 16 | 64),
            (PINNED_MAX, 1024),
        ] {
            fake.put(offset, value);
        }
        fake
    }

    /// A device as it should be.
    #[must_use]
    pub fn ready() -> Self {
        Self::new(SEGMENT_ADDRESS, state::READY)
    }

    /// Sets a register, also one that the guest cannot write to.
    pub fn put(&self, offset: u64, value: u32) {
        lock(&self.registers)[offset as usize / 4] = value;
    }

    fn get(&self, offset: u64) -> u32 {
        lock(&self.registers)[offset as usize / 4]
    }

    /// Sets the state of the host.
    pub fn set_state(&self, state: u32) {
        self.state.set(state);
    }

    /// Loses the next doorbells, so many of them.
    pub fn lose_doorbells(&self, count: u32) {
        self.lost.set(count);
    }

    /// Gives up passing a word to and fro after so many rounds, as a host does that has little time.
    pub fn give_up_after(&self, rounds: u64) {
        self.rounds.store(rounds, Ordering::Relaxed);
    }

    /// How many channels are open.
    #[must_use]
    pub fn open_channels(&self) -> usize {
        lock(&self.channels).len()
    }

    /// Memory of the guest, in pages that have every second neighbour only.
    ///
    /// # Panics
    /// There is no memory.
    #[must_use]
    pub fn pages(&self, length: usize) -> Pages {
        let (_, window) = Window::create(length).expect("memory");
        let mut memory = lock(&self.memory);
        let last = memory
            .iter()
            .flat_map(|(addresses, _)| addresses.last())
            .max();
        let first = last.map_or(1 << 32, |last| last + 7 * PAGE);
        let pages = length as u64 / PAGE;
        let addresses: Vec<_> = (0..pages).map(|n| first + (n + n / 2) * PAGE).collect();
        memory.push((addresses.clone(), window.clone()));
        Pages::at(window, addresses)
    }

    /// The memory that a directory names, where that is all of a region.
    fn shared(&self, directory: u64, length: u64) -> Result<Window, u16> {
        let memory = lock(&self.memory);
        let at = |address: u64| {
            memory.iter().find_map(|(addresses, window)| {
                let page = addresses.iter().position(|it| *it == address)?;
                let mut bytes = [0; PAGE as usize];
                let read = window.read(page * PAGE as usize, &mut bytes);
                read.then(|| zerocopy::transmute!(bytes))
            })
        };
        let named = decode(directory, at).ok_or(code::DIRECTORY)?;
        let found = memory.iter().find(|(addresses, _)| *addresses == named);
        let (_, window) = found.ok_or(code::NOT_MEMORY)?;
        match window.size() as u64 == length {
            true => Ok(window.clone()),
            false => Err(code::DIRECTORY),
        }
    }

    fn parameters(&self) -> Vec<u8> {
        let (offset, length) = (self.get(DATA_OFFSET), self.get(DATA_LENGTH) as usize);
        let words = lock(&self.registers);
        let bytes = words[offset as usize / 4..].as_bytes();
        bytes[..length].to_vec()
    }

    fn execute(&self, command: u32) -> Outcome {
        let bytes = self.parameters();
        let number = |number: u32| Ok(number.to_le_bytes().to_vec());
        let mut channels = lock(&self.channels);
        match command {
            mailbox::ECHO => Ok(bytes),
            mailbox::CHANNEL_OPEN => {
                let open = read::<Open>(&bytes)?;
                let window = self.shared(open.directory, open.length)?;
                let channel = (0..)
                    .find(|it| !channels.contains_key(it))
                    .unwrap_or_default();
                channels.insert(channel, Worker::start(window, Arc::clone(&self.rounds)));
                number(channel)
            }
            mailbox::CHANNEL_CLOSE => {
                let Channel { channel } = read(&bytes)?;
                channels
                    .remove(&channel)
                    .ok_or(code::ABSENT)
                    .map(|_| Vec::new())
            }
            mailbox::REGION_ADD => {
                let add = read::<Add>(&bytes)?;
                let window = self.shared(add.directory, add.length)?;
                let worker = channels.get(&add.channel).ok_or(code::ABSENT)?;
                let mut regions = lock(&worker.regions);
                let region = (1..)
                    .find(|it| !regions.contains_key(it))
                    .unwrap_or_default();
                regions.insert(region, window);
                number(region)
            }
            mailbox::REGION_DELETE => {
                let Region { channel, region } = read(&bytes)?;
                let worker = channels.get(&channel).ok_or(code::ABSENT)?;
                lock(&worker.regions)
                    .remove(&region)
                    .ok_or(code::ABSENT)
                    .map(|_| Vec::new())
            }
            _ => Err(code::UNKNOWN),
        }
    }

    fn answer(&self, result: Outcome) {
        let done = status::IDLE | status::DONE;
        let status = match result {
            Ok(_) => done,
            Err(code) => done | status::ERROR | u32::from(code) << status::CODE_SHIFT,
        };
        let payload = result.unwrap_or_default();
        let reply = Reply {
            request: self.get(REQUEST_ID),
            status,
            length: payload.len() as u32,
            reserved: 0,
        };
        let bytes = [reply.as_bytes(), &payload].concat();
        let mut registers = lock(&self.registers);
        registers.as_mut_bytes()[DATA.start as usize..][..bytes.len()].copy_from_slice(&bytes);
        registers[STATUS as usize / 4] = status;
    }

    fn set_driver(&self, value: u32) {
        let now = self.get(DRIVER);
        let unknown = self.get(ACK) & !self.get(FEATURES) != 0;
        match value {
            driver::RESET => {}
            driver::SETTLED if now == driver::PRESENT && unknown => {
                return self.set_driver(driver::RESET);
            }
            _ if value == now + 1 && value <= driver::RUN => {}
            _ => return,
        }
        if value == driver::RESET {
            lock(&self.channels).clear();
            self.put(ACK, 0);
        }
        self.put(
            STATUS,
            if value == driver::RESET {
                0
            } else {
                status::IDLE
            },
        );
        self.put(DRIVER, value);
    }
}

fn read<T: FromBytes>(bytes: &[u8]) -> Result<T, u16> {
    T::read_from_bytes(bytes).map_err(|_| code::PARAMETERS)
}

impl Registers for Fake {
    fn read(&self, offset: u64) -> u32 {
        let mut pending = lock(&self.pending);
        match (offset, &mut *pending) {
            (STATE, _) => self.state.get(),
            (STATUS, Some((1.., _))) => {
                pending.as_mut().expect("it is").0 -= 1;
                0
            }
            (STATUS, Some(_)) => {
                self.answer(pending.take().expect("it is").1);
                self.get(STATUS)
            }
            _ => self.get(offset),
        }
    }

    fn write(&self, offset: u64, value: u32) {
        let busy = lock(&self.pending).is_some();
        match offset {
            DRIVER => self.set_driver(value),
            COMMAND if !busy => *lock(&self.pending) = Some((BUSY, self.execute(value))),
            ACK => self.put(offset, value),
            _ if DOORBELLS.contains(&offset) && self.lost.get() > 0 => {
                self.lost.set(self.lost.get() - 1);
            }
            _ if DOORBELLS.contains(&offset) => {
                let channel = (offset - DOORBELLS.start) as u32 / 4;
                if let Some(worker) = lock(&self.channels).get(&channel) {
                    worker.bell.ring();
                }
            }
            _ if offset < DATA.end && offset != STATUS && !busy => self.put(offset, value),
            _ => {}
        }
    }
}

/// What a parked worker sleeps by.
#[derive(Debug, Default)]
struct Bell {
    rung: Mutex<u64>,
    heard: Condvar,
    closed: AtomicBool,
}

impl Bell {
    fn ring(&self) {
        *lock(&self.rung) += 1;
        self.heard.notify_all();
    }
}

/// The channel was closed.
struct Closed;

impl Park for &Bell {
    type Ticket = u64;
    type Lost = Closed;

    fn ticket(&self) -> u64 {
        *lock(&self.rung)
    }

    fn park(&self, ticket: u64) -> Result<(), Closed> {
        let rung = lock(&self.rung);
        drop(self.heard.wait_while(rung, |rung| {
            *rung == ticket && !self.closed.load(Ordering::Relaxed)
        }));
        match self.closed.load(Ordering::Relaxed) {
            true => Err(Closed),
            false => Ok(()),
        }
    }
}

/// The guest polls.
#[derive(Clone)]
struct Polls;

impl Wake for Polls {
    fn wake(&self) {}
}

impl Worker {
    fn start(slice: Window, rounds: Arc<AtomicU64>) -> Self {
        let (bell, regions) = (Arc::new(Bell::default()), Regions::default());
        lock(&regions).insert(0, slice.clone());
        let (rung, of) = (Arc::clone(&bell), Arc::clone(&regions));
        let thread = thread::spawn(move || {
            if let Ok(slice) = Slice::new(slice, &SESSION) {
                serve(Host::new(slice, Polls), &rung, &of, &rounds);
            }
        });
        Self {
            regions,
            bell,
            thread: Some(thread),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.bell.closed.store(true, Ordering::Relaxed);
        self.bell.ring();
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn serve(mut host: Host<Window, Polls>, bell: &Bell, regions: &Regions, rounds: &AtomicU64) {
    let mut record = Record::boxed();
    while !bell.closed.load(Ordering::Relaxed) {
        match host.next(&mut record) {
            Ok(Next::Record) => {}
            Ok(Next::Empty) if host.wait(&bell, Looks(20_000)).is_ok() => continue,
            Ok(Next::Empty) | Err(_) => return,
        }
        let header = *record.header();
        let answer = work(
            header.op,
            record.payload(),
            regions,
            rounds.load(Ordering::Relaxed),
        );
        let (status, bytes) = match &answer {
            Some(bytes) => (0, &bytes[..]),
            None => (1, &[][..]),
        };
        if header.slot != NO_SLOT {
            let _ = host.answers().reply(header.slot, header.seq, status, bytes);
        }
    }
}

/// What [`echo`] says of an op; a word goes to and fro `most` times at most.
fn work(op: u16, payload: &[u8], regions: &Regions, most: u64) -> Option<Vec<u8>> {
    let (words, _) = payload.as_chunks();
    let at = |n: usize| words.get(n).copied().map(u64::from_le_bytes);
    let window = |region: u64| lock(regions).get(&(region as u32)).cloned();
    let value = match op {
        echo::ECHO => return Some(payload.to_vec()),
        echo::HASH | echo::FILL => {
            let window = window(at(0)?)?;
            let first = at(1)? as usize / 8;
            let words = window.words().get(first..first + at(2)? as usize / 8)?;
            if op == echo::FILL {
                let seed = at(3)?;
                for (word, index) in words.iter().zip(first as u64..) {
                    word.store(echo::word(seed, index), Ordering::Relaxed);
                }
            }
            echo::hash(words.iter().map(|word| word.load(Ordering::Relaxed)))
        }
        echo::PINGPONG => {
            let slice = window(0)?;
            let words = &slice.words()[(ARENA + at(0)? as usize) / 8..];
            let (guest, host) = (words.first()?, words.get(echo::LINE / 8)?);
            let end = std::time::Instant::now() + echo::PINGPONG_LIMIT;
            let (mut done, rounds) = (0, at(1)?.min(most));
            while done < rounds && std::time::Instant::now() < end {
                if guest.load(Ordering::Acquire) == done + 1 {
                    done += 1;
                    host.store(done, Ordering::Release);
                }
            }
            done
        }
        _ => return None,
    };
    Some(value.to_le_bytes().to_vec())
}
