//! Which generation of processors the usual instructions are compiled for here, and bits that are the same on each: NaNs
//! too, which other tests take for equal. `cargo xtask test` runs it on older processors as well, by QEMU's user mode.

mod common;

use common::{Random, run};

#[test]
fn the_generation_is_the_one_that_the_processor_has() {
    let features = [
        ("x86-64-v4", is_x86_feature_detected!("avx512f")),
        ("x86-64-v3", is_x86_feature_detected!("avx2")),
        ("x86-64-v2", is_x86_feature_detected!("sse4.2")),
        ("all", true),
    ];
    let has = features.iter().find(|(_, has)| *has).map(|(name, _)| *name);
    let expected = std::env::var("VGPU_GENERATION").ok();
    assert_eq!(
        vgpu_simt::generation(),
        expected.as_deref().or(has).unwrap()
    );
}

/// FNV-1a of the bits that each form gives.
#[test]
fn the_bits_are_the_same_on_each() {
    let table: &[(&str, &str, &[&str], u64)] = &[
        ("add.f32", "f32", &["f32"; 2], 0xd018_c6e0_a918_6abc),
        ("sub.f32", "f32", &["f32"; 2], 0xd643_89b7_f09a_4cf1),
        ("mul.f32", "f32", &["f32"; 2], 0x4c81_99e5_063a_b836),
        ("fma.rn.f32", "f32", &["f32"; 3], 0x7a7d_5d80_e868_4aff),
        ("div.rn.f32", "f32", &["f32"; 2], 0x0924_0c8c_3fbb_8047),
        ("sqrt.rn.f32", "f32", &["f32"], 0xab87_05e7_7643_2f7d),
        ("min.f32", "f32", &["f32"; 2], 0x689b_20cf_5edb_a2d2),
        ("max.NaN.f32", "f32", &["f32"; 2], 0x5ed9_5717_3cc2_4550),
        ("add.f64", "f64", &["f64"; 2], 0x7884_7b7b_03b1_2f06),
        ("mul.f64", "f64", &["f64"; 2], 0x4eb3_e189_04e3_be74),
        ("fma.rn.f64", "f64", &["f64"; 3], 0x4276_13c9_a260_56fb),
        ("cvt.rn.f32.f64", "f32", &["f64"], 0x9efc_406c_20f0_c3ed),
        ("cvt.f64.f32", "f64", &["f32"], 0x1b9d_a247_2710_b57e),
        ("cvt.rzi.s32.f32", "b32", &["f32"], 0x3139_f710_0b52_0423),
        ("mad.lo.s32", "b32", &["b32"; 3], 0xb5d4_e0ac_cb79_489b),
        ("mul.hi.u64", "b64", &["b64"; 2], 0x167c_6b46_a489_3edd),
    ];
    let mut found = Vec::new();
    for (form, result, sources, expected) in table {
        let mut random = Random(15);
        let singles = sources[0].ends_with("32");
        let mut one = || match random.bits() {
            // Every eighth is a NaN, quiet or not, or an infinity.
            bits if bits & 7 == 0 && singles => bits >> 32 | 0x7f80_0000,
            bits if bits & 7 == 0 => bits | 0x7ff << 52,
            bits if singles => bits >> 32,
            bits => bits,
        };
        let rows: Vec<Vec<u64>> = (0..2048)
            .map(|_| sources.iter().map(|_| one()).collect())
            .collect();
        let got = run(form, result, sources, &rows);
        let digest = got.iter().fold(0xcbf2_9ce4_8422_2325, |hash, word| {
            let add = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            word.to_le_bytes().into_iter().fold(hash, add)
        });
        if digest != *expected {
            found.push(format!("{form} {digest:#018x}"));
        }
    }
    assert!(found.is_empty(), "{}: {found:#?}", vgpu_simt::generation());
}
