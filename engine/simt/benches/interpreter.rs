//! How many lane-instructions a core executes in a second: OpenCL kernels and
//! kernels of tinygrad, on one thread of the host.
//!
//!     cargo bench -p vgpu-simt --bench interpreter -- FOLDER
//!
//! Writes inputs and results of the OpenCL kernels to FOLDER, with `cases.txt`
//! that says how each is launched: a peer can then do the same. Then it reads
//! names, one a line, measures each, and answers with a line: the name, the
//! lane-instructions of a launch, and the nanoseconds of processor time that a
//! launch takes. `cargo xtask bench interpreter` makes a table of it.

#[path = "../tests/common/mod.rs"]
mod common;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::io::{BufRead, stdin};
use std::path::Path;
use std::time::{Duration, Instant};

use common::opencl::{CASES, Kind, TEXT};
use common::{Device, bytes_of, tinygrad};

/// For how long a kernel is launched again and again.
const LENGTH: Duration = Duration::from_millis(100);

/// A kernel that is ready to be launched.
struct Ready {
    device: Device,
    kernel: String,
    blocks: [u32; 3],
    threads: [u32; 3],
    shared: u32,
    parameters: Vec<u8>,
}

fn main() {
    // cargo passes `--bench` as well.
    let folder = std::env::args().skip(1).find(|word| !word.starts_with('-'));
    let mut kernels = BTreeMap::new();
    opencl(Path::new(&folder.expect("a folder")), &mut kernels);
    for case in tinygrad::cases() {
        let (device, parameters, _) = case.device();
        let ready = Ready {
            device,
            kernel: case.kernel,
            blocks: case.blocks,
            threads: case.threads,
            shared: case.shared,
            parameters,
        };
        kernels.insert(format!("tinygrad/{}", case.name), ready);
    }
    let names: Vec<_> = kernels.keys().cloned().collect();
    println!("{}", names.join(" "));
    for line in stdin().lock().lines() {
        let name = line.expect("a line");
        let (lanes, time) = kernels.get_mut(&name).expect("a name").measure();
        println!("{name} {lanes} {time:.1}");
    }
}

/// The OpenCL kernels, launched once, with what they gave.
fn opencl(folder: &Path, kernels: &mut BTreeMap<String, Ready>) {
    let mut cases = String::new();
    for case in &CASES {
        let n = case.large;
        let inputs = case.inputs(n).map(|v| bytes_of(&v, |v| v.to_le_bytes()));
        let mut device = Device::with(TEXT, 1, u64::MAX);
        let [a, b] = [&inputs[0], &inputs[1]].map(|bytes| device.buffer(bytes));
        let length = case.length(n).max(64) * 4;
        let out = device.buffer(&vec![0; length]);
        let mut parameters = [a, b, out].map(u64::to_le_bytes).concat();
        parameters.extend(n.to_le_bytes());
        let name = format!("opencl/{}", case.name);
        let mut ready = Ready {
            device,
            kernel: case.name.into(),
            blocks: case.blocks(n),
            threads: case.threads(),
            shared: 0,
            parameters,
        };
        ready.launch();
        let file = |part| folder.join(format!("{}.{part}", case.name));
        let result = ready.device.bytes(out, length);
        for (part, bytes) in [("a", &inputs[0]), ("b", &inputs[1]), ("out", &result)] {
            fs::write(file(part), bytes).expect("written");
        }
        let kind = match case.kind {
            Kind::Singles => "float32",
            Kind::Words => "uint32",
        };
        let [[x, y, _], [tx, ty, _]] = [ready.blocks, ready.threads];
        let _ = writeln!(cases, "{} {kind} {n} {x} {y} {tx} {ty}", case.name);
        kernels.insert(name, ready);
    }
    fs::write(folder.join("cases.txt"), cases).expect("written");
}

impl Ready {
    /// Its lane-instructions.
    fn launch(&mut self) -> u64 {
        let done = self.device.shaped(
            &self.kernel,
            self.blocks,
            self.threads,
            self.shared,
            &self.parameters,
        );
        done.expect("runs").lane_instructions
    }

    /// Lane-instructions of a launch, and the time that it takes a processor.
    fn measure(&mut self) -> (u64, f64) {
        let mut launches = 0u32;
        let mut lanes = self.launch();
        let (start, before) = (Instant::now(), on_processor());
        while start.elapsed() < LENGTH {
            lanes = self.launch();
            launches += 1;
        }
        let time = (on_processor() - before) as f64;
        (lanes, time / f64::from(launches))
    }
}

/// Nanoseconds that this thread has been on a processor.
fn on_processor() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let first = text.split(' ').next().unwrap_or_default();
    first.parse().unwrap_or(0)
}
