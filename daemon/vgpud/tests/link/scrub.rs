//! What one session left in the device's memory is in no later session's: of the same machine or another, whether it ended in
//! order or was killed.

use std::sync::atomic::Ordering::Relaxed;

use vgpu_cuda_wire::Client;
use vgpu_ring::Memory as _;
use vgpu_window::Window;

use crate::common::kill;
use crate::emulator::{Daemon, Emulator};
use crate::shares::{ONE, OTHER, Program, daemon, machines, status_of};

/// Bytes of device memory, and of one allocation.
const MEMORY: u64 = 4 << 20;
const PART: u64 = 256 << 10;
const PATTERN: u32 = 0xa5c3_96f0;
/// Bytes of a kernel's memory of each kind, and what it writes to: words of 8 bytes.
const LOCAL: u64 = 1024;
const SHARED: u64 = 4096;
const VARIABLE: u64 = 8192;

/// Copies a kernel's local and shared memory and a variable as they are into its parameter's memory, and then fills them.
fn ptx() -> String {
    let mut text = format!(
        ".version 7.0\n.target sm_70\n.address_size 64\n.global .align 8 .b8 variable[{VARIABLE}];\n\
         .visible .entry look(.param .u64 out) {{\n\
         .local .align 8 .b8 mine[{LOCAL}];\n.shared .align 8 .b8 ours[{SHARED}];\n\
         .reg .b64 %rd<8>;\n.reg .pred %p<2>;\n\
         ld.param.u64 %rd1, [out];\nmov.u64 %rd5, 0xa5c396f0a5c396f0;\n"
    );
    for (space, name, size) in [
        ("local", "mine", LOCAL),
        ("shared", "ours", SHARED),
        ("global", "variable", VARIABLE),
    ] {
        text += &format!(
            "mov.u64 %rd2, {name};\nadd.u64 %rd3, %rd2, {size};\nLOOP_{name}:\n\
             ld.{space}.u64 %rd4, [%rd2];\nst.global.u64 [%rd1], %rd4;\nst.{space}.u64 [%rd2], %rd5;\n\
             add.u64 %rd1, %rd1, 8;\nadd.u64 %rd2, %rd2, 8;\n\
             setp.lt.u64 %p1, %rd2, %rd3;\n@%p1 bra LOOP_{name};\n"
        );
    }
    text + "ret;\n}\n"
}

/// A session, and memory that it reads into.
struct Session {
    program: Program,
    window: Window,
}

impl Session {
    fn open(emulator: &mut Emulator, channel: u32) -> Self {
        let program = Program::with(emulator.open(channel), &ptx());
        let (status, window) = emulator.add(channel, 1, PART);
        assert_eq!(status, 0);
        Self { program, window }
    }

    fn read(&self, from: u64, size: u64) -> Vec<u64> {
        let client = Client(&self.program);
        client.read_into(from, 0, 1, 0, size).unwrap();
        let words = &self.window.words()[..size as usize / 8];
        words.iter().map(|word| word.load(Relaxed)).collect()
    }

    /// All the memory that the device still has, as it is found: allocations, and memory that is mapped.
    fn all(&self) -> Vec<u64> {
        let client = Client(&self.program);
        let mut all = Vec::new();
        if let Ok(memory) = client.memory_create(PART) {
            let address = (1 << 40) + (1 << 35);
            client.memory_map(memory, address).unwrap();
            all.push(address);
        }
        while let Ok(pointer) = client.memory_allocate(PART) {
            all.push(pointer);
        }
        assert!(all.len() as u64 >= MEMORY / PART - 2, "{}", all.len());
        all
    }

    /// Launches the kernel; gives what it found in each kind of its memory.
    fn look(&self) -> Vec<u64> {
        let client = Client(&self.program);
        let out = client.memory_allocate(PART / 2).unwrap();
        self.program.launch_with(0, &out.to_le_bytes()).unwrap();
        client.synchronize().unwrap();
        let found = self.read(out, LOCAL + SHARED + VARIABLE);
        client.memory_free(out).unwrap();
        found
    }

    /// Leaves the pattern everywhere.
    fn soil(&self) {
        let twice = u64::from(PATTERN) << 32 | u64::from(PATTERN);
        assert!(self.look().iter().all(|&word| word == 0), "of its own");
        // The kernel has filled what it has: what is a variable's it finds again.
        let again = self.look();
        assert!(
            again[(LOCAL + SHARED) as usize / 8..]
                .iter()
                .all(|&word| word == twice)
        );
        let client = Client(&self.program);
        let all = self.all();
        for pointer in &all {
            client.fill(*pointer, PATTERN, 4, PART / 4, 0).unwrap();
        }
        client.synchronize().unwrap();
        for pointer in all {
            assert!(self.read(pointer, PART).iter().all(|&word| word == twice));
        }
    }

    /// Nothing of anybody is there.
    fn is_clean(&self) {
        let dirty = |words: &[u64]| words.iter().filter(|&&word| word != 0).count();
        assert_eq!(dirty(&self.look()), 0, "a kernel's own memory");
        for pointer in self.all() {
            assert_eq!(dirty(&self.read(pointer, PART)), 0, "{pointer:#x}");
        }
    }
}

fn worker(daemon: &Daemon, machine: [u8; 16]) -> u32 {
    let status = status_of(daemon, machine);
    status["sessions"][0]["process"].as_u64().unwrap() as u32
}

#[test]
fn nothing_of_a_session_is_in_a_later_ones_device_memory() {
    let daemon = daemon(&machines(&format!("memory-mib = {}", MEMORY >> 20), "", ""));
    let [mut one, mut other] = [ONE, OTHER].map(|machine| Emulator::of(&daemon, machine).unwrap());
    for killed in [false, true] {
        let session = Session::open(&mut one, 1);
        session.soil();
        if killed {
            kill(worker(&daemon, ONE));
            while one.lost.is_empty() {
                one.hear(std::time::Duration::from_secs(1));
            }
        } else {
            assert_eq!(one.close(1), 0);
        }
        Session::open(&mut one, 2).is_clean();
        Session::open(&mut other, 3).is_clean();
        assert_eq!([one.close(2), other.close(3)], [0, 0]);
    }
}

/// The same while it is there.
#[test]
fn nothing_of_a_session_is_in_anothers_beside_it() {
    let daemon = daemon(&machines(&format!("memory-mib = {}", MEMORY >> 20), "", ""));
    let [mut one, mut other] = [ONE, OTHER].map(|machine| Emulator::of(&daemon, machine).unwrap());
    let session = Session::open(&mut one, 1);
    session.soil();
    Session::open(&mut one, 2).is_clean();
    Session::open(&mut other, 3).is_clean();
}
