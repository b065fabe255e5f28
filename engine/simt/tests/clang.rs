//! More kernels that clang made of C++, against the same in Rust; the first
//! ones stand in `kernels.rs`.

mod common;

use common::{Device, Random, bytes_of};

const TEXT: &str = include_str!("../../../tests/corpus/clang/more.ptx");

fn words(count: usize, seed: u64) -> Vec<u32> {
    let mut random = Random(seed);
    (0..count).map(|_| random.bits() as u32).collect()
}

fn singles(count: usize, seed: u64) -> Vec<f32> {
    let near = |word: u32| f32::from_bits(word & 0x80ff_ffff | 0x3f00_0000);
    words(count, seed).into_iter().map(near).collect()
}

fn bytes(values: &[u32]) -> Vec<u8> {
    bytes_of(values, |v| v.to_le_bytes())
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|v| v.to_bits()).collect()
}

/// Runs a kernel over buffers, and returns the words of one of them.
fn run(kernel: &str, shape: [u32; 2], buffers: &[Vec<u32>], result: usize) -> Vec<u32> {
    let mut device = Device::with(TEXT, 1, u64::MAX);
    let addresses: Vec<u64> = buffers.iter().map(|b| device.buffer(&bytes(b))).collect();
    let parameters = bytes_of(&addresses, |a| a.to_le_bytes());
    device
        .launch(kernel, shape[0], shape[1], &parameters)
        .unwrap_or_else(|error| panic!("{kernel}: {error}"));
    device.words(addresses[result], buffers[result].len())
}

#[test]
fn matrices_over_shared_memory() {
    let a = words(64 * 64, 1);
    let expected: Vec<u32> = (0..64 * 64).map(|i| a[i % 64 * 64 + i / 64]).collect();
    let zero = vec![0; 64 * 64];
    assert_eq!(run("transpose", [16, 256], &[a, zero], 1), expected);

    let (a, b) = (singles(32 * 32, 2), singles(32 * 32, 3));
    let element = |i: usize| {
        let sum = (0..32).fold(0f32, |sum, k| {
            a[i / 32 * 32 + k].mul_add(b[k * 32 + i % 32], sum)
        });
        sum.to_bits()
    };
    let expected: Vec<u32> = (0..32 * 32).map(element).collect();
    let buffers = [bits(&a), bits(&b), vec![0; 32 * 32]];
    assert_eq!(run("product", [4, 256], &buffers, 2), expected);
}

#[test]
fn sums_and_orders_of_blocks() {
    let a = words(1024, 4);
    let sums = |block: &[u32]| {
        let sum = |sum: &mut u32, x: &u32| {
            *sum = sum.wrapping_add(*x);
            Some(*sum)
        };
        block.iter().scan(0, sum).collect::<Vec<u32>>()
    };
    let expected: Vec<u32> = a.chunks(256).flat_map(sums).collect();
    let buffers = [a.clone(), vec![0; 1024]];
    assert_eq!(run("scan", [4, 256], &buffers, 1), expected);

    let mut expected = a.clone();
    expected.chunks_mut(256).for_each(<[u32]>::sort_unstable);
    assert_eq!(run("bitonic", [4, 256], &[a], 0), expected);
}

#[test]
fn votes_and_locks() {
    let a = words(1024, 5);
    let expected: Vec<u32> = a.iter().copied().filter(|x| x & 1 == 1).collect();
    let buffers = [a, vec![0; 1024], vec![0]];
    let got = run("compact", [4, 256], &buffers, 1);
    assert_eq!(got[..expected.len()], expected);
    assert!(got[expected.len()..].iter().all(|x| *x == 0));

    let buffers = [vec![0], vec![0]];
    assert_eq!(run("locked", [2, 40], &buffers, 1), [40 * 41]);
}

#[test]
fn a_stencil_of_doubles() {
    let mut device = Device::with(TEXT, 1, u64::MAX);
    let mut random = Random(6);
    let a: Vec<f64> = (0..500).map(|_| random.bits() as f64 * 1e-9).collect();
    let from = device.buffer(&bytes_of(&a, |v| v.to_le_bytes()));
    let to = device.buffer(&[0; 4000]);
    let mut parameters = [from.to_le_bytes(), to.to_le_bytes()].concat();
    parameters.extend(500u32.to_le_bytes());
    device.launch("stencil", 4, 128, &parameters).expect("runs");
    let expected = |i: usize| match i {
        0 | 499 => 0f64,
        // Of its own accord, clang makes one rounding of a product and a sum.
        _ => a[i].mul_add(0.5, (a[i - 1] + a[i + 1]) * 0.25),
    };
    let got = device.bytes(to, 4000);
    for (i, got) in got.chunks_exact(8).enumerate() {
        let got = f64::from_le_bytes(got.try_into().expect("eight"));
        assert_eq!(got.to_bits(), expected(i).to_bits(), "{i}");
    }
}

#[test]
fn directions_and_halves() {
    use rustc_apfloat::Float;
    use rustc_apfloat::Round::{NearestTiesToEven, TowardNegative, TowardPositive, TowardZero};
    use rustc_apfloat::ieee::{Half, Single};
    let (a, b) = (singles(256, 7), singles(256, 8));
    let buffers = [bits(&a), bits(&b), vec![0; 1024]];
    let got = run("directed", [1, 256], &buffers, 2);
    for ((a, b), got) in a.iter().zip(&b).zip(got.chunks(4)) {
        let [x, y] = [a, b].map(|v| Single::from_bits(u128::from(v.to_bits())));
        let expected = [
            x.add_r(y, NearestTiesToEven).value,
            x.mul_r(y, TowardZero).value,
            x.div_r(y, TowardNegative).value,
            x.mul_add_r(y, x, TowardPositive).value,
        ];
        assert_eq!(got, expected.map(|v| v.to_bits() as u32), "{a} {b}");
    }

    let (a, b) = (words(64, 9), words(64, 10));
    let tame =
        |all: &[u32]| -> Vec<u32> { all.iter().map(|x| x & 0x83ff_83ff | 0x3c00_3800).collect() };
    let (a, b) = (tame(&a), tame(&b));
    let buffers = [a.clone(), b.clone(), vec![0; 64]];
    let got = run("halves", [1, 128], &buffers, 2);
    for ((a, b), got) in a.iter().zip(&b).zip(got) {
        for shift in [0, 16] {
            let half = |x: u32| Half::from_bits(u128::from(x >> shift & 0xffff));
            let (x, y) = (half(*a), half(*b));
            // As above, one rounding of the product and the sum.
            let expected = x
                .mul_add_r(y, x, NearestTiesToEven)
                .value
                .sub_r(y, NearestTiesToEven)
                .value;
            assert_eq!(u128::from(got >> shift & 0xffff), expected.to_bits());
        }
    }
}

#[test]
fn words_ways_and_dots() {
    let a = words(64 * 4, 11);
    let buffers = [a.clone(), vec![0; 128]];
    let got = run("words", [1, 64], &buffers, 1);
    for (input, got) in a.chunks(4).zip(got.chunks(2)) {
        let join = |low: u32, high: u32| u64::from(high) << 32 | u64::from(low);
        let (x, y) = (join(input[0], input[1]), join(input[2], input[3]));
        let high = ((u128::from(x) * u128::from(y)) >> 64) as u64;
        let zeros = u64::from((y | 1).leading_zeros());
        let expected = high
            ^ x.swap_bytes()
            ^ zeros
            ^ y.wrapping_shl(x as u32)
            ^ (x / (y | 1))
            ^ (x as i64 >> (y & 31)) as u64;
        assert_eq!(join(got[0], got[1]), expected, "{x:#x} {y:#x}");
    }

    let a = words(256, 12);
    // The source looks at the number anew each time around.
    let around = |mut x: u32| {
        let mut i = 0;
        while i < x & 7 {
            x = x.wrapping_mul(5).wrapping_add(1);
            i += 1;
        }
        x
    };
    let expected = |x: u32| match x % 11 {
        0 => x.wrapping_mul(3),
        1 => x ^ 0xffff,
        2 => x >> 3,
        3 => x.count_ones(),
        4 => x / 7,
        5 => !x,
        6 => x & x.wrapping_neg(),
        7 => around(x),
        8 => x as f32 as u32,
        _ => 9,
    };
    let expected: Vec<u32> = a.iter().copied().map(expected).collect();
    assert_eq!(run("ways", [1, 256], &[a, vec![0; 256]], 1), expected);

    let (a, b) = (words(128, 13), words(128, 14));
    let buffers = [a.clone(), b.clone(), vec![0; 256]];
    let got = run("dots", [1, 128], &buffers, 2);
    for ((a, b), got) in a.iter().zip(&b).zip(got.chunks(2)) {
        let byte = |x: u32, i: u32| i32::from((x >> (8 * i)) as i8);
        let bytes: i32 = (0..4).map(|i| byte(*a, i) * byte(*b, i)).sum();
        let half = |i: u32| i32::from((a >> (16 * i)) as i16);
        let halves = half(0) * byte(*b, 0) + half(1) * byte(*b, 1);
        assert_eq!(got, [(bytes + 5) as u32, (halves - 3) as u32]);
    }
}

/// The places of elements are those of the ISA's figures, which this writes
/// down once more: rows and columns by lane.
#[test]
fn a_product_of_a_warp() {
    let halves = |count: usize, seed: u64| -> Vec<u32> {
        let small = |word: u32| u32::from(half::f16::from_f32((word % 33) as f32 - 16.0).to_bits());
        let all: Vec<u32> = words(count * 2, seed).into_iter().map(small).collect();
        all.chunks(2).map(|pair| pair[0] | pair[1] << 16).collect()
    };
    let (a, b) = (halves(128, 15), halves(64, 16));
    let part =
        |word: u32, index: usize| half::f16::from_bits((word >> (16 * index)) as u16).to_f32();
    let (mut left, mut right) = ([[0f32; 16]; 16], [[0f32; 8]; 16]);
    for lane in 0..32 {
        let (group, member) = (lane / 4, lane % 4);
        for i in 0..8 {
            let row = if i % 4 < 2 { group } else { group + 8 };
            let column = member * 2 + (i & 1) + if i < 4 { 0 } else { 8 };
            left[row][column] = part(a[lane * 4 + i / 2], i & 1);
        }
        for i in 0..4 {
            let row = member * 2 + (i & 1) + if i < 2 { 0 } else { 8 };
            right[row][group] = part(b[lane * 2 + i / 2], i & 1);
        }
    }
    let got = run("tensor", [1, 32], &[a, b, vec![0; 128]], 2);
    for (lane, got) in got.chunks(4).enumerate() {
        for (i, got) in got.iter().enumerate() {
            let row = lane / 4 + if i < 2 { 0 } else { 8 };
            let column = lane % 4 * 2 + (i & 1);
            let sum: f32 = (0..16).map(|k| left[row][k] * right[k][column]).sum();
            assert_eq!(f32::from_bits(*got), sum + 1.0 + i as f32, "lane {lane}");
        }
    }
}

/// What C's `printf` gives for the same, and the order of lanes and warps.
#[test]
fn prints_and_assertions() {
    let mut device = Device::with(TEXT, 1, u64::MAX);
    let to = device.buffer(&[0; 4]);
    device
        .launch("prints", 1, 2, &to.to_le_bytes())
        .expect("runs");
    let lines = [
        "lane 0: -7 4294967289 fffffff9 0XAB 017 c text% ",
        "[   42] [42   ] [00042] [+42] [ 42] [  042]",
        "1.500000 [  2.25] 1.234568e+10 1e-05 0.0001 100000 1e+06 -inf nan",
        "123456789012 0xffffffffffffffff [abc] [   x]",
    ];
    // Both lanes come to each call together.
    let twice = |line: &&str| format!("{line}\n{}\n", line.replace("lane 0", "lane 1"));
    let expected: String = lines.iter().map(twice).collect();
    let printed = String::from_utf8(device.printed()).expect("text");
    assert_eq!(printed, expected);
    assert_eq!(device.words(to, 1), [8]);

    device
        .launch("asserts", 1, 1, &1u32.to_le_bytes())
        .expect("runs");
    let error = device
        .launch("asserts", 1, 40, &0u32.to_le_bytes())
        .expect_err("fails");
    assert!(
        error
            .to_string()
            .starts_with("assertion failed; kernel asserts"),
        "{error}"
    );
    let text = String::from_utf8(device.printed()).expect("text");
    assert_eq!(text, "more.cu:7: asserts: assertion `n > 0` failed\n");
}
