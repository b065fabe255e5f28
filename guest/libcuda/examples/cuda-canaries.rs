//! A CUDA program that knows its own bytes: of many at once, on one device, none must meet another's. Its arguments are its number,
//! how many calls it makes, and a file that it waits for when its session is open.
//!
//! All that it writes are canaries, words with its number in them; what it is given anew, of the device or shared with the host,
//! may have been anybody's, and must have nobody's.

use std::env;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use cudarc::driver::{
    CudaContext, CudaFunction, CudaSlice, CudaStream, DriverError, LaunchConfig, PushKernelArg, sys,
};
use cudarc::nvrtc::Ptx;

const PTX: &str = include_str!("canary.ptx");

/// The top byte of a canary.
const MARK: u32 = 0xca;

/// Words of a buffer, of memory that is made anew, and of what is pinned, which is a region of its own: 64 KiB.
const WORDS: usize = 64;
const ANEW: usize = 1024;
const PINNED: usize = 16 << 10;

/// Rounds until memory is made anew, and until some is pinned: the library's, and the program's own.
const ANEW_EVERY: u32 = 16;
const PINNED_EVERY: u32 = 64;
/// More than a device takes, and a machine has.
const TOO_MUCH: usize = 32 << 30;

/// Where a virtual machine's driver is.
const NODE: &str = "/dev/vgpu0";

fn main() {
    let mut words = env::args().skip(1);
    let mut number = || words.next().map(|word| word.parse::<u32>());
    let (Some(Ok(id)), Some(Ok(calls))) = (number(), number()) else {
        panic!("cuda-canaries NUMBER CALLS [FILE]");
    };
    let mut program = Program::new(id).unwrap();
    if Path::new(NODE).exists() {
        too_much();
    }
    if let Some(file) = words.next() {
        println!("ready");
        while !Path::new(&file).exists() {
            thread::sleep(Duration::from_millis(50));
        }
    }
    let mut round = 0;
    while program.calls < calls {
        round += 1;
        program.round(round).unwrap();
    }
    println!("{} calls of {id} are right", program.calls);
}

struct Program {
    id: u32,
    /// Made so far.
    calls: u32,
    stream: Arc<CudaStream>,
    veil: CudaFunction,
    buffers: [CudaSlice<u32>; 3],
}

impl Program {
    fn new(id: u32) -> Result<Self, DriverError> {
        assert!(id < 256, "a number of a byte");
        let context = CudaContext::new(0)?;
        let stream = context.default_stream();
        let module = context.load_module(Ptx::from_src(PTX))?;
        let buffer = || stream.alloc_zeros(WORDS);
        Ok(Self {
            id,
            calls: 0,
            veil: module.load_function("veil")?,
            buffers: [buffer()?, buffer()?, buffer()?],
            stream,
        })
    }

    /// The canary of a place, at a time.
    fn canary(&self, round: u32, place: usize) -> u32 {
        MARK << 24 | self.id << 16 | (round.wrapping_mul(31) + place as u32) & 0xffff
    }

    fn canaries(&self, round: u32, count: usize) -> Vec<u32> {
        (0..count).map(|place| self.canary(round, place)).collect()
    }

    /// None of the words is another's.
    fn own(&self, words: &[u32], what: &str) {
        let other = |word: &&u32| *word >> 24 == MARK && *word >> 16 & 0xff != self.id;
        if let Some(word) = words.iter().find(other) {
            panic!("{}: {what} has {word:#x}", self.id);
        }
    }

    /// Calls of every kind that travels, and what comes of them.
    fn round(&mut self, round: u32) -> Result<(), DriverError> {
        let (key, count) = (round.wrapping_mul(0x9e37_79b9), WORDS as u32);
        let written = self.canaries(round, WORDS);
        let [from, to, copy] = &mut self.buffers;
        self.stream.memcpy_htod(&written, from)?;
        self.stream.memset_zeros(to)?;
        let mut launch = self.stream.launch_builder(&self.veil);
        launch.arg(&mut *to).arg(&*from).arg(&key).arg(&count);
        // SAFETY: the arguments are those of the kernel, which stays within `count`.
        #[allow(unsafe_code)]
        unsafe { launch.launch(LaunchConfig::for_num_elems(count)) }?;
        self.stream.memcpy_dtod(to, copy)?;
        let veiled = self.stream.clone_dtoh(copy)?;
        self.stream.synchronize()?;
        self.calls += 6;
        let unveiled: Vec<_> = veiled.iter().map(|word| word ^ key).collect();
        self.own(&unveiled, "a result");
        assert_eq!(unveiled, written, "{}: in round {round}", self.id);
        if round.is_multiple_of(ANEW_EVERY) {
            self.anew(round)?;
        }
        if round.is_multiple_of(PINNED_EVERY) {
            self.pinned(round)?;
            self.registered(round)?;
        }
        Ok(())
    }

    /// Memory of the device that is made, and given back full of canaries.
    fn anew(&mut self, round: u32) -> Result<(), DriverError> {
        // SAFETY: any bits are a word.
        #[allow(unsafe_code)]
        let mut made = unsafe { self.stream.alloc::<u32>(ANEW) }?;
        self.own(&self.stream.clone_dtoh(&made)?, "new memory of the device");
        let written = self.canaries(round, ANEW);
        self.stream.memcpy_htod(&written, &mut made)?;
        drop(made);
        self.calls += 4;
        Ok(())
    }

    /// Memory that the driver makes, and shares with the host; by it to the device and back.
    fn pinned(&mut self, round: u32) -> Result<(), DriverError> {
        // SAFETY: any bits are a word.
        #[allow(unsafe_code)]
        let mut pinned = unsafe { self.stream.context().alloc_pinned::<u32>(PINNED) }?;
        let new = pinned.as_slice()?.iter().find(|word| **word != 0);
        if let Some(word) = new {
            panic!("{}: new shared memory has {word:#x}", self.id);
        }
        let written = self.canaries(round, PINNED);
        pinned.as_mut_slice()?.copy_from_slice(&written);
        let there = self.stream.clone_htod(&pinned)?;
        pinned.as_mut_slice()?.fill(0);
        self.stream.memcpy_dtoh(&there, &mut pinned)?;
        self.stream.synchronize()?;
        assert!(
            pinned.as_slice()? == written,
            "{}: other words come back to pinned memory",
            self.id
        );
        self.calls += 6;
        Ok(())
    }

    /// Memory of the program's own, which the driver shares with the host; by it to the device and back.
    fn registered(&mut self, round: u32) -> Result<(), DriverError> {
        let written = self.canaries(round, PINNED);
        let mut own = written.clone();
        let place = own.as_mut_ptr().cast();
        let pinned_before = pinned();
        // SAFETY: the vector is there, and its words stay where they are, until that ends.
        #[allow(unsafe_code)]
        unsafe { sys::cuMemHostRegister_v2(place, 4 * PINNED, 0) }.result()?;
        if Path::new(NODE).exists() {
            assert!(pinned() > pinned_before, "{}: it is copied", self.id);
        }
        let there = self.stream.clone_htod(&own)?;
        // It is read until then.
        self.stream.synchronize()?;
        own.fill(0);
        self.stream.memcpy_dtoh(&there, &mut own)?;
        self.stream.synchronize()?;
        // SAFETY: it is registered.
        #[allow(unsafe_code)]
        unsafe { sys::cuMemHostUnregister(place) }.result()?;
        assert_eq!(pinned(), pinned_before, "{}: it stays pinned", self.id);
        assert!(own == written, "{}: other words come back", self.id);
        self.calls += 7;
        Ok(())
    }
}

/// Asks for more than there can be: who refuses it has made none of it, or this machine would have no memory left.
fn too_much() {
    let mut pointer = std::ptr::null_mut();
    // SAFETY: the pointer is there.
    #[allow(unsafe_code)]
    let made = unsafe { sys::cuMemAllocHost_v2(&raw mut pointer, TOO_MUCH) };
    assert_eq!(made, sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY);
}

/// KiB of this process's memory that devices have.
fn pinned() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmPin:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|it| it.parse().ok()).unwrap_or_default()
}
