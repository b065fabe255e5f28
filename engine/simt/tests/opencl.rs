//! Kernels in OpenCL C, compiled by clang, against the same in Rust.

mod common;

use common::opencl::{CASES, Case, Kind, TEXT};
use common::{Device, bytes_of};

/// What a kernel gives for a size.
fn result(device: &mut Device, case: &Case, n: u32, [a, b]: &[Vec<f32>; 2]) -> Vec<f64> {
    let [a, b] = [a, b].map(|values| device.buffer(&bytes_of(values, |v| v.to_le_bytes())));
    let out = device.buffer(&vec![0; case.length(n).max(64) * 4]);
    let mut parameters = [a, b, out].map(u64::to_le_bytes).concat();
    parameters.extend(n.to_le_bytes());
    let done = device.shaped(case.name, case.blocks(n), case.threads(), 0, &parameters);
    done.unwrap_or_else(|error| panic!("{}: {error}", case.name));
    let number = |word: u32| match case.kind {
        Kind::Singles => f64::from(f32::from_bits(word)),
        Kind::Words => f64::from(word),
    };
    let words = device.words(out, case.length(n).max(64));
    words.into_iter().map(number).collect()
}

#[test]
fn kernels_of_opencl_give_what_rust_gives() {
    for threads in [1, 2] {
        let mut device = Device::with(TEXT, threads, 50_000_000);
        for case in &CASES {
            let n = case.small;
            let inputs = case.inputs(n);
            let expected = (case.oracle)(&inputs[0], &inputs[1], n as usize);
            let got = result(&mut device, case, n, &inputs);
            assert!(expected.len() <= got.len());
            // Sums of values of both signs lose what the largest ones do.
            let largest = expected.iter().fold(1.0, |m: f64, v| m.max(v.abs()));
            for (index, (got, expected)) in got.iter().zip(&expected).enumerate() {
                let allowed = match case.kind {
                    Kind::Singles => 2e-6 * largest,
                    Kind::Words => 0.0,
                };
                let near = (got - expected).abs() <= allowed;
                let name = case.name;
                assert!(near, "{name}[{index}]: {got}, Rust has {expected}");
            }
        }
    }
}
