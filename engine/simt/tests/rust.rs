//! Kernels that rustc made, against the same source compiled for the host.

mod common;

use common::{Device, Random, bytes_of};

// Casts are what some of it is about.
#[allow(clippy::cast_lossless)]
#[path = "../../../tests/corpus/rust/work.rs"]
mod work;

const TEXT: &str = include_str!("../../../tests/corpus/rust/kernels.ptx");

type Kernel = (&'static str, fn([u64; 3]) -> u64);

macro_rules! list {
    ($($name:ident),*) => {
        const KERNELS: &[Kernel] = &[$((stringify!($name), work::$name)),*];
    };
}

work::each_kernel!(list);

/// Small numbers, ends of integers, and floats: each is also what others read.
const EDGES: [u64; 20] = [
    0,
    1,
    2,
    3,
    7,
    10,
    32,
    63,
    0x7f,
    0x80,
    0xffff,
    0x3f80_0000,
    0x7f80_0000,
    0xff7f_ffff,
    0x7fc0_0000,
    0xffff_ffff,
    0x3ff0_0000_0000_0000,
    0x7ff0_0000_0000_0000,
    i64::MIN as u64,
    u64::MAX,
];

fn inputs(count: usize) -> Vec<[u64; 3]> {
    let mut random = Random(count as u64);
    let mut pick = || match random.bits() % 4 {
        0 => EDGES[random.bits() as usize % EDGES.len()],
        // Singles and doubles near one.
        1 => random.bits() & 0x80ff_ffff | 0x3f00_0000,
        2 => random.bits() & 0x800f_ffff_ffff_ffff | 0x3ff0_0000_0000_0000,
        _ => random.bits(),
    };
    (0..count).map(|_| [pick(), pick(), pick()]).collect()
}

#[test]
fn the_host_gives_the_same() {
    assert!(KERNELS.len() >= 20, "{} kernels", KERNELS.len());
    let inputs = inputs(1000);
    let mut device = Device::with(TEXT, 1, u64::MAX);
    let flat: Vec<u64> = inputs.iter().flatten().copied().collect();
    let from = device.buffer(&bytes_of(&flat, |v| v.to_le_bytes()));
    let to = device.buffer(&vec![0; inputs.len() * 8]);
    for (name, host) in KERNELS {
        let mut parameters = [from.to_le_bytes(), to.to_le_bytes()].concat();
        parameters.extend((inputs.len() as u32).to_le_bytes());
        device
            .launch(name, 8, 128, &parameters)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let bytes = device.bytes(to, inputs.len() * 8);
        let got = bytes.chunks_exact(8);
        let word = |chunk: &[u8]| u64::from_le_bytes(chunk.try_into().expect("eight"));
        for (input, got) in inputs.iter().zip(got.map(word)) {
            let expected = host(*input);
            assert_eq!(got, expected, "{name} {input:x?}: {got:#x}, {expected:#x}");
        }
    }
}
