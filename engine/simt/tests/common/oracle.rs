//! What forms are held against.

use rustc_apfloat::ieee::{Double, Single};
use rustc_apfloat::{Float, Round};

use super::{Random, combinations, run};

pub(crate) const MODES: [(&str, Round); 4] = [
    ("rn", Round::NearestTiesToEven),
    ("rz", Round::TowardZero),
    ("rm", Round::TowardNegative),
    ("rp", Round::TowardPositive),
];

pub(crate) const WORDS: [u64; 14] = [
    0,
    1,
    2,
    3,
    7,
    31,
    32,
    33,
    0x7fff,
    0x8000,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_fffe,
    0xffff_ffff,
];

#[rustfmt::skip]
pub(crate) const LONGS: [u64; 14] = [
    0, 1, 2, 5, 63, 64, 65, 0xffff_ffff, 0x1_0000_0000, 0x1234_5678_9abc_def0,
    0x7fff_ffff_ffff_ffff, 0x8000_0000_0000_0000, 0xffff_ffff_ffff_fffe, u64::MAX,
];

/// Zeros, subnormals, both ends, neighbours of 1, halves, and what is no number.
pub(crate) fn singles() -> Vec<u64> {
    let mut all: Vec<u64> = [
        0,
        1,
        2,
        0x7f_ffff,
        0x80_0000,
        0x80_0001,
        0x3f80_0000,
        0x3f80_0001,
        0x3f7f_ffff,
        0x3f00_0000,
        0x4040_0000,
        0x3dcc_cccd,
        0x4b80_0001,
        0x7f7f_ffff,
        0x7f80_0000,
        0x7fc0_0000,
        0x5f00_0000,
    ]
    .to_vec();
    all.extend(all.clone().iter().map(|bits| bits | 0x8000_0000));
    all
}

pub(crate) fn doubles() -> Vec<u64> {
    let mut all: Vec<u64> = [
        0.0,
        f64::from_bits(1),
        f64::MIN_POSITIVE,
        f64::MIN_POSITIVE.next_down(),
        1.0,
        1.0 + f64::EPSILON,
        0.5,
        3.0,
        0.1,
        1e300,
        1e-300,
        f64::MAX,
        f64::INFINITY,
        f64::NAN,
        4_503_599_627_370_497.5,
    ]
    .map(f64::to_bits)
    .to_vec();
    all.extend(all.clone().iter().map(|bits| bits | 1 << 63));
    all
}

/// Edges in every combination, and as many random bits.
pub(crate) fn rows(edges: &[u64], width: usize, bits: u32) -> Vec<Vec<u64>> {
    let mut rows = combinations(edges, width);
    if rows.len() > 6000 {
        let step = rows.len() / 3000;
        rows = rows.into_iter().step_by(step).collect();
    }
    let mut random = Random(u64::from(bits) + width as u64);
    for _ in 0..1000 {
        rows.push((0..width).map(|_| random.bits() >> (64 - bits)).collect());
    }
    rows
}

/// Compares, any NaN being as good as another.
pub(crate) fn check(
    form: &str,
    result: &str,
    sources: &[&str],
    rows: &[Vec<u64>],
    oracle: impl Fn(&[u64]) -> u64,
) {
    let got = run(form, result, sources, rows);
    let nan = |bits: u64| match result {
        "f16" | "b16" => bits & 0x7fff > 0x7c00,
        "f32" => bits & 0x7fff_ffff > 0x7f80_0000,
        "f64" => f64::from_bits(bits).is_nan(),
        _ => false,
    };
    for (row, got) in rows.iter().zip(got) {
        let expected = oracle(row);
        let same = got == expected || nan(got) && nan(expected);
        assert!(same, "{form} {row:x?}: {got:#x}, expected {expected:#x}");
    }
}

pub(crate) fn single(bits: u64) -> Single {
    Single::from_bits(u128::from(bits))
}

pub(crate) fn double(bits: u64) -> Double {
    Double::from_bits(u128::from(bits))
}

pub(crate) fn bits<F: Float>(value: F) -> u64 {
    value.to_bits() as u64
}
