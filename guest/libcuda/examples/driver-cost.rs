//! What calls cost in a virtual machine whose device has the null engine: those that nobody waits for against the same
//! records put into memory of this process alone, those that wait against a word that goes to and fro between this process
//! and a worker of the host. That worker is another device's, which echoes ([`vgpu_ring::echo`]). A line of JSON.
//!
//!     driver-cost RUNS        /dev/vgpu0 has the null engine, /dev/vgpu1 echoes; without it, calls that nobody waits for
//!     driver-cost stays       keeps a session, and does nothing
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::hint::black_box;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use libloading::Library;
use vgpu_cuda_wire::{Caller, Client};
use vgpu_ring::guest::{Answers, Command, Commands};
use vgpu_ring::host::Host;
use vgpu_ring::layout::{ARENA, SESSION};
use vgpu_ring::{Memory, Next, PushError, Record, Slice, Wake, echo};
use vgpu_transport::driver::Driver;
use vgpu_transport::{SpinFor, Transport};
use vgpu_window::Window;

/// Calls of a batch: their records fit the ring.
const BATCH: u64 = 1000;
/// Batches of each kind in a run, in turns.
const BATCHES: usize = 30;
/// Calls before each batch, so that the worker looks.
const WARM: u64 = 50;
/// How often the host may give up on a word, and looks at that between two at whether it has.
const TRIES: u32 = 100;
const LOOKS: u32 = 1 << 16;
/// Between two kinds: the worker of the last one sleeps by then, and leaves its processor to the next.
const REST: Duration = Duration::from_millis(1);
/// Between two runs: the host may put its threads elsewhere.
const PAUSE: Duration = Duration::from_secs(2);
/// The device that echoes.
const ECHOES: &str = "/dev/vgpu1";

const PTX: &CStr = c".version 7.0\n.target sm_70\n.address_size 64\n\
    .visible .entry add(.param .u64 a, .param .u64 b, .param .u64 c, .param .u32 n) { ret; }\n";
/// The bytes of its parameters.
const PARAMETERS: usize = 28;
/// Bytes of the small copy.
const SMALL: usize = 64;

/// Wakes nobody: there is nobody who sleeps.
#[derive(Clone, Debug)]
struct Nobody;

impl Wake for Nobody {
    fn wake(&self) {}
}

/// Memory of this process.
type OwnWords = &'static [AtomicU64];

/// A ring in memory of this process, whose other half it is too.
struct Private {
    commands: Mutex<Commands<OwnWords>>,
    host: Mutex<Host<OwnWords, Nobody>>,
}

impl Private {
    fn new() -> Self {
        let words: Vec<_> = (0..ARENA / 8).map(|_| AtomicU64::new(0)).collect();
        let slice = Slice::new(&*words.leak(), &SESSION).unwrap();
        Self {
            commands: Mutex::new(Commands::new(slice)),
            host: Mutex::new(Host::new(slice, Nobody)),
        }
    }

    /// Makes room, as a worker does meanwhile.
    fn drain(&self) {
        let (mut host, mut record) = (self.host.lock().unwrap(), Record::boxed());
        while host.next(&mut record).unwrap() == Next::Record {}
    }
}

impl Caller for &Private {
    type Error = PushError;

    #[inline]
    fn send<const N: usize>(
        &self,
        op: u16,
        message: &[u64; N],
        data: &[u8],
    ) -> Result<(), PushError> {
        let (flags, aux) = (0, data.len() as u32);
        let mut commands = self.commands.lock().unwrap();
        commands.send(Command { op, flags, aux }, message, data, &Nobody)?;
        Ok(())
    }

    fn call<const N: usize, const M: usize>(
        &self,
        _: u16,
        _: &[u64; N],
        _: &[u8],
    ) -> Result<[u64; M], PushError> {
        Err(PushError::TooLong)
    }
}

/// A session whose worker passes a word to and fro.
struct Line {
    driver: Driver,
    commands: Commands<Window>,
    answers: Answers<Window>,
}

impl Line {
    fn open() -> Self {
        let driver = Driver::of(ECHOES).unwrap();
        let slice = Slice::new(driver.slice().clone(), &SESSION).unwrap();
        Self {
            commands: Commands::new(slice.clone()),
            answers: Answers::new(slice),
            driver,
        }
    }

    /// Nanoseconds of a round trip. A host gives up after a time, as where it shares its processor with this one: then once more.
    fn batch(&mut self) -> f64 {
        let found = (0..TRIES).find_map(|_| self.pass());
        found.expect("the host passes no word to and fro")
    }

    /// `None` where the host gave up.
    fn pass(&mut self) -> Option<f64> {
        let slice = self.answers.slice().memory().clone();
        let [own, other] = [0, echo::LINE].map(|place| &slice.words()[(ARENA + place) / 8]);
        own.store(0, Ordering::Relaxed);
        other.store(0, Ordering::SeqCst);
        let command = Command {
            op: echo::PINGPONG,
            flags: 0,
            aux: 0,
        };
        let asked = [0, WARM + BATCH];
        let number = self.commands.call(command, 0, &asked, &[], &self.driver);
        let (number, answers) = (number.unwrap(), &self.answers);
        let mut start = Instant::now();
        for round in 1..=WARM + BATCH {
            own.store(round, Ordering::Release);
            let mut looks = 0_u32;
            // Without a pause: on an emulated processor that takes longer than the answer.
            while other.load(Ordering::Acquire) != round {
                looks = looks.wrapping_add(1);
                // It may have passed the last word just before.
                if looks.is_multiple_of(LOOKS)
                    && answers.poll(0, number).is_some()
                    && other.load(Ordering::Acquire) != round
                {
                    return None;
                }
            }
            if round == WARM {
                start = Instant::now();
            }
        }
        let each = start.elapsed().as_nanos() as f64 / BATCH as f64;
        let answer = answers.wait(&self.driver, SpinFor::GUEST, || answers.poll(0, number));
        let done = answer.unwrap().inline() == asked[1].to_le_bytes();
        done.then_some(each)
    }
}

/// Nanoseconds of each of a batch.
fn batch(mut call: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..BATCH {
        call();
    }
    start.elapsed().as_nanos() as f64 / BATCH as f64
}

/// What was measured of a call: nanoseconds of it and of its peer, and their ratio, of each run.
#[derive(Default)]
struct Row {
    ns: Vec<f64>,
    peer_ns: Vec<f64>,
    ratio: Vec<f64>,
}

/// The batches of a run: of a call, and beside each of its peer.
#[derive(Default)]
struct Pairs(Vec<(f64, f64)>);

impl Row {
    fn add(&mut self, Pairs(pairs): &Pairs) {
        let median = |value: fn(&(f64, f64)) -> f64| {
            let mut values: Vec<_> = pairs.iter().map(value).collect();
            values.sort_unstable_by(f64::total_cmp);
            values[values.len() / 2]
        };
        self.ns.push(median(|it| it.0));
        self.peer_ns.push(median(|it| it.1));
        self.ratio.push(median(|it| it.0 / it.1));
    }
}

fn main() {
    let wanted = std::env::args().nth(1).unwrap();
    // SAFETY: the library is the program's driver.
    let cuda = unsafe { Library::new("libcuda.so.1") }.unwrap();
    type Handle = *mut c_void;
    // A function that must succeed.
    macro_rules! function {
        ($name:ident($($argument:ident: $type:ty),*)) => {{
            type Function = unsafe extern "C" fn($($type),*) -> u32;
            // SAFETY: the type is the driver API's.
            let function = *unsafe { cuda.get::<Function>(stringify!($name).as_bytes()) }.unwrap();
            move |$($argument: $type),*| {
                // SAFETY: the caller passes what the driver API asks for.
                let status = unsafe { function($($argument),*) };
                assert_eq!(status, 0, stringify!($name));
            }
        }};
    }
    let init = function!(cuInit(flags: u32));
    let create = function!(cuCtxCreate_v2(context: *mut Handle, flags: u32, device: c_int));
    let load = function!(cuModuleLoadData(module: *mut Handle, image: *const c_char));
    let get =
        function!(cuModuleGetFunction(function: *mut Handle, module: Handle, name: *const c_char));
    let alloc = function!(cuMemAlloc_v2(pointer: *mut u64, size: usize));
    let launch = function!(cuLaunchKernel(
        function: Handle,
        grid_x: u32, grid_y: u32, grid_z: u32, block_x: u32, block_y: u32, block_z: u32,
        shared: u32, stream: Handle, parameters: *mut Handle, extra: *mut Handle
    ));
    let fill = function!(cuMemsetD32Async(to: u64, value: u32, count: usize, stream: Handle));
    let synchronize = function!(cuStreamSynchronize(stream: Handle));
    let download = function!(cuMemcpyDtoH_v2(to: *mut u8, from: u64, size: usize));

    let null: Handle = std::ptr::null_mut();
    let (mut context, mut module, mut add, mut buffer) = (null, null, null, 0);
    init(0);
    create(&mut context, 0, 0);
    load(&mut module, PTX.as_ptr());
    get(&mut add, module, c"add".as_ptr());
    alloc(&mut buffer, SMALL);
    let mut pointers = [buffer; 3];
    let mut count = 1_u32;
    let [a, b, c] = pointers
        .each_mut()
        .map(|pointer| std::ptr::from_mut(pointer).cast());
    let mut parameters: [Handle; 4] = [a, b, c, std::ptr::from_mut(&mut count).cast()];
    let list = parameters.as_mut_ptr();

    let launch = || launch(add, 1, 1, 1, 32, 1, 1, 0, null, list, std::ptr::null_mut());
    let wait = || synchronize(null);
    launch();
    wait();
    if wanted == "stays" {
        println!("it stays");
        loop {
            std::thread::park();
        }
    }
    let runs: usize = wanted.parse().unwrap();
    let private = Private::new();
    let launch_privately = || {
        let mut block = [0; PARAMETERS];
        for (place, pointer) in block.chunks_mut(8).zip(black_box(pointers)) {
            place.copy_from_slice(&pointer.to_le_bytes()[..place.len()]);
        }
        block[PARAMETERS - 4..].copy_from_slice(&black_box(count).to_le_bytes());
        let [module, stream] = black_box([1, 0]);
        let sent = Client(&private).launch(module, 0, 1, 1, 1, 32, 1, 1, 0, stream, &block);
        sent.unwrap();
    };
    let fill = || fill(buffer, 7, SMALL / 4, null);
    let fill_privately = || {
        let [to, count] = black_box([buffer, SMALL as u64 / 4]);
        Client(&private).fill(to, 7, 4, count, 0).unwrap();
    };
    let mut bytes = [0; SMALL];
    let mut line = Path::new(ECHOES).exists().then(Line::open);
    let mut rows: [Row; 4] = Default::default();
    for run in 0..runs {
        if run > 0 {
            sleep(PAUSE);
        }
        let mut pairs: [Pairs; 4] = Default::default();
        for _ in 0..BATCHES {
            sleep(REST);
            let bare = line.as_mut().map(Line::batch);
            sleep(REST);
            let warm = || (0..WARM).for_each(|_| wait());
            warm();
            let launched = batch(launch);
            warm();
            let filled = batch(fill);
            warm();
            let waited = batch(wait);
            let copied = batch(|| download(bytes.as_mut_ptr(), buffer, SMALL));
            sleep(REST);
            let launched_privately = batch(launch_privately);
            private.drain();
            let filled_privately = batch(fill_privately);
            private.drain();
            let values = [
                (launched, Some(launched_privately)),
                (filled, Some(filled_privately)),
                (waited, bare),
                (copied, bare),
            ];
            for (pairs, (value, peer)) in pairs.iter_mut().zip(values) {
                pairs.0.extend(peer.map(|peer| (value, peer)));
            }
        }
        for (row, pairs) in rows.iter_mut().zip(&pairs) {
            if !pairs.0.is_empty() {
                row.add(pairs);
            }
        }
    }
    let names = [
        "cuLaunchKernel",
        "cuMemsetD32Async",
        "cuStreamSynchronize",
        "cuMemcpyDtoH",
    ];
    let rows = names
        .iter()
        .zip(&rows)
        .filter(|(_, row)| !row.ns.is_empty());
    let rows = rows.map(|(name, row)| {
        let Row { ns, peer_ns, ratio } = row;
        format!("\"{name}\": {{\"ns\": {ns:?}, \"peer_ns\": {peer_ns:?}, \"ratio\": {ratio:?}}}")
    });
    println!("{{{}}}", rows.collect::<Vec<_>>().join(", "));
}
