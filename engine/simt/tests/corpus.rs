//! PTX that compilers made: kernels of tinygrad with results of NumPy, and
//! modules of Taichi that have to load.

mod common;

use common::Device;

const CASES: &str = include_str!("../../../tests/corpus/tinygrad/cases.txt");

fn corpus(path: &str) -> String {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/corpus/");
    std::fs::read_to_string(format!("{root}{path}")).expect("a file of the corpus")
}

fn hexadecimal(text: &str) -> Vec<u8> {
    let byte = |index| u8::from_str_radix(&text[index..index + 2], 16).expect("a byte");
    (0..text.len()).step_by(2).map(byte).collect()
}

/// The numbers of a buffer, as doubles.
fn numbers(ty: &str, bytes: &[u8]) -> Vec<f64> {
    macro_rules! read {
        ($ty:ty, |$v:ident| $f:expr) => {
            bytes
                .chunks_exact(size_of::<$ty>())
                .map(|chunk| {
                    let $v = <$ty>::from_le_bytes(chunk.try_into().expect("whole"));
                    $f
                })
                .collect()
        };
    }
    match ty {
        "f32" => read!(f32, |v| f64::from(v)),
        "f64" => read!(f64, |v| v),
        "f16" => read!(u16, |v| half::f16::from_bits(v).to_f64()),
        "s8" => read!(i8, |v| f64::from(v)),
        "s32" => read!(i32, |v| f64::from(v)),
        "s64" => read!(i64, |v| v as f64),
        _ => panic!("{ty}"),
    }
}

#[test]
fn kernels_of_tinygrad_give_what_numpy_gives() {
    let mut lines = CASES.lines().peekable();
    let mut count = 0;
    while let Some(line) = lines.next() {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |index: usize| words[index].parse().expect("a number");
        let (name, kernel) = (words[1], words[3]);
        let blocks = [number(5), number(6), number(7)];
        let threads = [number(9), number(10), number(11)];
        let mut device = Device::new(&corpus(&format!("tinygrad/{name}.ptx")));
        let size = device.program.kernels()[0].parameter_size as usize;
        let mut parameters = vec![0; size];
        let mut result = None;
        while let Some(line) = lines.next_if(|line| !line.starts_with("case")) {
            let words: Vec<&str> = line.split(' ').collect();
            let offset: usize = words[1].parse().expect("an offset");
            let (length, bytes) = match words[0] {
                "result" => (words[3], Vec::new()),
                _ => (words[2], hexadecimal(words[3])),
            };
            let length: usize = length.parse().expect("a length");
            let buffer = device.buffer(&vec![0xee; length]);
            device.memory.write(buffer, &bytes).expect("fits");
            parameters[offset..offset + 8].copy_from_slice(&buffer.to_le_bytes());
            if words[0] == "result" {
                let tolerance: f64 = words[4].parse().expect("a tolerance");
                let expected = numbers(words[2], &hexadecimal(words[5]));
                result = Some((buffer, words[2].to_string(), tolerance, expected));
            }
        }
        let (buffer, ty, tolerance, expected) = result.expect("a result");
        let shared = number(13);
        let run = device.shaped(kernel, blocks, threads, shared, &parameters);
        run.unwrap_or_else(|error| panic!("{name}: {error}"));
        let size = match ty.as_str() {
            "s8" => 1,
            "f16" => 2,
            "f64" | "s64" => 8,
            _ => 4,
        };
        let got = numbers(&ty, &device.bytes(buffer, expected.len() * size));
        for (index, (got, expected)) in got.iter().zip(&expected).enumerate() {
            let near = (got - expected).abs() <= tolerance * expected.abs().max(1.0);
            assert!(near, "{name}[{index}]: {got}, NumPy has {expected}");
        }
        count += 1;
    }
    assert!(count >= 20, "{count} cases");
}

#[test]
fn modules_of_taichi_load() {
    for (file, kernels) in [("runtime", 23), ("fill", 1), ("sum", 3), ("histogram", 1)] {
        let device = Device::new(&corpus(&format!("taichi/{file}.ptx")));
        assert_eq!(device.program.kernels().len(), kernels, "{file}");
    }
}

/// `runtime_get_memory_requirements(out, states, on_demand)` of Taichi's runtime.
#[test]
fn a_kernel_of_taichi_computes() {
    let mut device = Device::new(&corpus("taichi/runtime.ptx"));
    let out = device.buffer(&[0; 8]);
    let mut parameters = out.to_le_bytes().to_vec();
    parameters.extend(4096u32.to_le_bytes());
    parameters.extend(1u32.to_le_bytes());
    device
        .launch("runtime_get_memory_requirements", 1, 1, &parameters)
        .expect("runs");
    let expected = 1_085_440 + (20 * 4096u64).next_multiple_of(4096);
    assert_eq!(device.bytes(out, 8), expected.to_le_bytes());
}
