//! The engine alone, without a worker and its sandbox: opens the device, adds two
//! vectors, and prints what it is and what a launch costs, as JSON.
//!
//!     cargo run --release -p vgpu-engine-nvidia --example device [-- LIBRARY]

use std::time::Instant;

use vgpu_engine::{Engine, Launch, Result};
use vgpu_engine_nvidia::{Config, Device, NvidiaEngine};

const KERNELS: &str = include_str!("../../../tests/corpus/clang/kernels.ptx");
/// Where a program might keep addresses free.
const ADDRESSES: (u64, u64) = (0x0200_0000_0000, 0x0300_0000_0000);
const N: u32 = 1 << 16;

/// How many sums are wrong, and the nanoseconds of a launch that is waited for.
fn add(engine: &mut NvidiaEngine) -> Result<(usize, u128)> {
    let module = engine.module_load(KERNELS.as_bytes())?;
    let bytes = |factor: f32| -> Vec<u8> {
        let values = (0..N).flat_map(|i| (i as f32 * factor).to_le_bytes());
        values.collect()
    };
    let size = u64::from(N) * 4;
    let [a, b, c] = [
        engine.alloc(size)?,
        engine.alloc(size)?,
        engine.alloc(size)?,
    ];
    engine.write(a, &bytes(1.0))?;
    engine.write(b, &bytes(0.5))?;
    let mut parameters = [a, b, c].map(u64::to_le_bytes).concat();
    parameters.extend(N.to_le_bytes());
    let launch = Launch {
        module: module.id,
        function: "vadd",
        grid: [N / 128, 1, 1],
        block: [128, 1, 1],
        shared: 0,
        parameters: &parameters,
    };
    let mut times = Vec::new();
    for _ in 0..51 {
        let start = Instant::now();
        engine.launch(&launch)?;
        times.push(start.elapsed().as_nanos());
    }
    times.sort_unstable();
    let mut sums = vec![0; size as usize];
    engine.read(c, &mut sums)?;
    let expected = bytes(1.5);
    let wrong = sums
        .chunks(4)
        .zip(expected.chunks(4))
        .filter(|(sum, right)| sum != right);
    Ok((wrong.count(), times[times.len() / 2]))
}

fn main() {
    let mut config = Config::default();
    if let Some(library) = std::env::args_os().nth(1) {
        config.library = library.into();
        config.control = "/dev/null".into();
    }
    let start = Instant::now();
    let device = match Device::open(&config) {
        Ok(device) => device,
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(1);
        }
    };
    let opened = start.elapsed();
    let (major, minor) = device.version();
    let properties = device.properties().clone();
    let mut engine = device.engine(ADDRESSES).expect("an engine");
    let (wrong, launch) = add(&mut engine).expect("a kernel runs");
    println!(
        "{{\"device\": {:?}, \"compute capability\": \"{}.{}\", \"cuda\": \"{major}.{minor}\", \
         \"memory\": {}, \"opened in ms\": {}, \"sums\": {N}, \"wrong\": {wrong}, \
         \"launch and wait in ns\": {launch}, \"remarks\": {:?}}}",
        properties.name,
        properties.compute_capability.0,
        properties.compute_capability.1,
        properties.total_memory,
        opened.as_millis(),
        engine.remarks(),
    );
}
