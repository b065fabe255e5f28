//! Forms that the ISA gives with a bound of the error; those of singles stand
//! in `floats.rs` too.

mod common;

use common::{Random, run};
use half::{bf16, f16};

type Exact = fn(f64) -> f64;

/// What a form gives, an argument after the other.
fn check(form: &str, ty: &str, arguments: &[f64], exact: Exact, absolute: f64, relative: f64) {
    let to = |x: f64| match ty {
        "f16" => u64::from(f16::from_f64(x).to_bits()),
        "bf16" => u64::from(bf16::from_f64(x).to_bits()),
        "f32" => u64::from((x as f32).to_bits()),
        _ => x.to_bits(),
    };
    let of = |bits: u64| match ty {
        "f16" => f16::from_bits(bits as u16).to_f64(),
        "bf16" => bf16::from_bits(bits as u16).to_f64(),
        "f32" => f64::from(f32::from_bits(bits as u32)),
        _ => f64::from_bits(bits),
    };
    let register = match ty {
        "f16" | "bf16" => "b16",
        other => other,
    };
    let rows: Vec<_> = arguments.iter().map(|x| vec![to(*x)]).collect();
    let got = run(form, register, &[register], &rows);
    for (row, got) in rows.iter().zip(got) {
        let (x, got) = (of(row[0]), of(got));
        let exact = exact(x);
        let error = (got - exact).abs();
        let bound = absolute + relative * exact.abs();
        assert!(error <= bound, "{form} {x}: {got}, {exact}");
    }
}

fn uniform(low: f64, high: f64) -> Vec<f64> {
    let mut random = Random(12);
    let unit = |bits: u64| bits as f64 / u64::MAX as f64;
    (0..1000)
        .map(|_| low + (high - low) * unit(random.bits()))
        .collect()
}

/// Each bound is that of the PTX ISA's section; a bf16's own last bit is wider
/// than some.
#[test]
fn floats_of_sixteen_bits() {
    let (tangents, powers) = (uniform(-4.0, 4.0), uniform(-10.0, 10.0));
    check(
        "tanh.approx.f16",
        "f16",
        &tangents,
        f64::tanh,
        2f64.powf(-10.987),
        0.0,
    );
    check(
        "tanh.approx.bf16",
        "bf16",
        &tangents,
        f64::tanh,
        2f64.powi(-8),
        0.0,
    );
    check(
        "ex2.approx.f16",
        "f16",
        &powers,
        f64::exp2,
        0.0,
        2f64.powf(-9.9),
    );
    check(
        "ex2.approx.ftz.bf16",
        "bf16",
        &powers,
        f64::exp2,
        0.0,
        2f64.powi(-7),
    );
    // Of a pair, each half is as it is alone.
    for (form, ty) in [
        ("tanh.approx", "f16"),
        ("tanh.approx", "bf16"),
        ("ex2.approx", "f16"),
        ("ex2.approx.ftz", "bf16"),
    ] {
        let mut random = Random(13);
        let one: Vec<_> = (0..500).map(|_| vec![random.bits() & 0xbfff]).collect();
        let alone = run(&format!("{form}.{ty}"), "b16", &["b16"], &one);
        let two: Vec<_> = one
            .chunks(2)
            .map(|p| vec![p[0][0] | p[1][0] << 16])
            .collect();
        let pairs = run(&format!("{form}.{ty}x2"), "b32", &["b32"], &two);
        let parts: Vec<u64> = pairs.iter().flat_map(|p| [p & 0xffff, p >> 16]).collect();
        assert_eq!(parts, alone, "{form}.{ty}x2");
    }
}

#[test]
fn doubles() {
    let arguments = uniform(0.1, 1e9);
    // Of the result, the upper half is there: 20 bits behind the point.
    let bound = 2f64.powi(-20);
    check(
        "rcp.approx.ftz.f64",
        "f64",
        &arguments,
        |x| 1.0 / x,
        0.0,
        bound,
    );
    // As good as can be.
    let last = 2f64.powi(-52);
    check("rcp.approx.f64", "f64", &arguments, |x| 1.0 / x, 0.0, last);
    let exact: Exact = |x| 1.0 / x.sqrt();
    check("rsqrt.approx.f64", "f64", &arguments, exact, 0.0, bound);
    check(
        "sqrt.approx.f64",
        "f64",
        &arguments,
        f64::sqrt,
        0.0,
        2f64.powi(-52),
    );
}

/// Within 2 units of the last place.
#[test]
fn quotients() {
    let mut random = Random(14);
    let near = |bits: u64| bits & 0x80ff_ffff | 0x3f00_0000;
    let rows: Vec<_> = (0..1000)
        .map(|_| vec![near(random.bits()), near(random.bits())])
        .collect();
    for form in ["approx", "full", "approx.ftz", "full.ftz"] {
        let got = run(&format!("div.{form}.f32"), "f32", &["f32"; 2], &rows);
        for (row, got) in rows.iter().zip(got) {
            let [x, y, got] = [row[0], row[1], got].map(|b| f64::from(f32::from_bits(b as u32)));
            let exact = x / y;
            assert!(
                (got - exact).abs() <= exact.abs() * 2f64.powi(-22),
                "{form} {x} {y}"
            );
        }
    }
}

/// `.ftz` makes subnormals zeros, on both sides.
#[test]
fn subnormals_are_flushed() {
    let rows = vec![vec![1], vec![0x8000_0001], vec![0x7f_ffff]];
    let infinities = [0x7f80_0000, 0xff80_0000, 0x7f80_0000];
    assert_eq!(
        run("rcp.approx.ftz.f32", "f32", &["f32"], &rows),
        infinities
    );
    let zeros = [0, 0x8000_0000, 0];
    for form in ["sqrt", "sin"] {
        let form = format!("{form}.approx.ftz.f32");
        assert_eq!(run(&form, "f32", &["f32"], &rows), zeros, "{form}");
    }
    let ones = [0x3f80_0000; 3];
    for form in ["cos", "ex2"] {
        let form = format!("{form}.approx.ftz.f32");
        assert_eq!(run(&form, "f32", &["f32"], &rows), ones, "{form}");
    }
    let rows = &rows[..1];
    assert_eq!(
        run("rsqrt.approx.ftz.f32", "f32", &["f32"], rows),
        [0x7f80_0000]
    );
    assert_eq!(
        run("lg2.approx.ftz.f32", "f32", &["f32"], rows),
        [0xff80_0000]
    );
    let small = vec![vec![u64::from((-130f32).to_bits())]];
    assert_eq!(run("ex2.approx.ftz.f32", "f32", &["f32"], &small), [0]);
}
