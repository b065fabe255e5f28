//! PTX that compilers made: kernels of tinygrad with results of NumPy, and
//! modules of Taichi that have to load.

mod common;

use common::{Device, tinygrad};

fn corpus(path: &str) -> String {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/corpus/");
    std::fs::read_to_string(format!("{root}{path}")).expect("a file of the corpus")
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
    let cases = tinygrad::cases();
    assert!(cases.len() >= 20, "{} cases", cases.len());
    for case in cases {
        let (mut device, parameters, result) = case.device();
        let (name, expected) = (&case.name, &case.result);
        let run = device.shaped(
            &case.kernel,
            case.blocks,
            case.threads,
            case.shared,
            &parameters,
        );
        run.unwrap_or_else(|error| panic!("{name}: {error}"));
        let got = numbers(&expected.ty, &device.bytes(result, expected.bytes.len()));
        let wanted = numbers(&expected.ty, &expected.bytes);
        for (index, (got, wanted)) in got.iter().zip(&wanted).enumerate() {
            let near = (got - wanted).abs() <= expected.tolerance * wanted.abs().max(1.0);
            assert!(near, "{name}[{index}]: {got}, NumPy has {wanted}");
        }
    }
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
