//! Forms on floats against an oracle that shares nothing with them: Rust's IEEE
//! operations, and LLVM's software floats for the rounding modes.

mod common;

use common::oracle::{LONGS, MODES, WORDS, bits, check, double, doubles, rows, single, singles};
use common::{Random, run};
use rustc_apfloat::ieee::{Double, Half, Single};
use rustc_apfloat::{Float, FloatConvert, Round};

#[test]
fn singles_in_every_rounding() {
    let (two, three) = (rows(&singles(), 2, 32), rows(&singles(), 3, 32));
    for (word, mode) in MODES {
        let f = |name: &str| format!("{name}.{word}.f32");
        let s = ["f32"; 2];
        check(&f("add"), "f32", &s, &two, |r| {
            bits(single(r[0]).add_r(single(r[1]), mode).value)
        });
        check(&f("sub"), "f32", &s, &two, |r| {
            bits(single(r[0]).sub_r(single(r[1]), mode).value)
        });
        check(&f("mul"), "f32", &s, &two, |r| {
            bits(single(r[0]).mul_r(single(r[1]), mode).value)
        });
        check(&f("div"), "f32", &s, &two, |r| {
            bits(single(r[0]).div_r(single(r[1]), mode).value)
        });
        check(&f("fma"), "f32", &["f32"; 3], &three, |r| {
            bits(
                single(r[0])
                    .mul_add_r(single(r[1]), single(r[2]), mode)
                    .value,
            )
        });
        check(&f("rcp"), "f32", &["f32"], &rows(&singles(), 1, 32), |r| {
            bits(single(0x3f80_0000).div_r(single(r[0]), mode).value)
        });
    }
}

#[test]
fn doubles_in_every_rounding() {
    let (two, three) = (rows(&doubles(), 2, 64), rows(&doubles(), 3, 64));
    for (word, mode) in MODES {
        let f = |name: &str| format!("{name}.{word}.f64");
        let s = ["f64"; 2];
        check(&f("add"), "f64", &s, &two, |r| {
            bits(double(r[0]).add_r(double(r[1]), mode).value)
        });
        check(&f("sub"), "f64", &s, &two, |r| {
            bits(double(r[0]).sub_r(double(r[1]), mode).value)
        });
        check(&f("mul"), "f64", &s, &two, |r| {
            bits(double(r[0]).mul_r(double(r[1]), mode).value)
        });
        check(&f("div"), "f64", &s, &two, |r| {
            bits(double(r[0]).div_r(double(r[1]), mode).value)
        });
        check(&f("fma"), "f64", &["f64"; 3], &three, |r| {
            bits(
                double(r[0])
                    .mul_add_r(double(r[1]), double(r[2]), mode)
                    .value,
            )
        });
    }
}

/// A root is right where its square, exact, is on the right side of the
/// argument, and that of its neighbour on the other.
#[test]
fn roots_in_every_rounding() {
    let mut random = Random(5);
    let mut arguments: Vec<u64> = (0..500).map(|_| random.bits() >> 33).collect();
    arguments.extend([
        0,
        1,
        4,
        0x7f_ffff,
        0x80_0000,
        0x3f80_0000,
        0x4080_0000,
        0x7f7f_ffff,
    ]);
    let rows: Vec<_> = arguments.iter().map(|bits| vec![*bits]).collect();
    let all = MODES.map(|(word, _)| run(&format!("sqrt.{word}.f32"), "f32", &["f32"], &rows));
    for (index, argument) in arguments.iter().enumerate() {
        let a = f64::from(f32::from_bits(*argument as u32));
        let [near, zero, down, up] =
            [0, 1, 2, 3].map(|m: usize| f32::from_bits(all[m][index] as u32));
        if !a.is_finite() {
            continue;
        }
        // The square of a single is exact in a double.
        let square = |x: f32| f64::from(x) * f64::from(x);
        assert_eq!(zero.to_bits(), down.to_bits(), "{a}");
        assert!(
            square(down) <= a && a < square(down.next_up()),
            "{a}: {down}"
        );
        assert!(
            square(up) >= a && (up == 0.0 || square(up.next_down()) < a),
            "{a}: {up}"
        );
        assert_eq!(near, f32::from_bits(*argument as u32).sqrt(), "{a}");
    }
    let mut arguments: Vec<f64> = (0..500)
        .map(|_| f64::from_bits(random.bits() >> 1))
        .collect();
    arguments.extend([
        0.0,
        2.0,
        4.0,
        f64::from_bits(1),
        f64::MIN_POSITIVE,
        f64::MAX,
    ]);
    // Nothing below zero's neighbour has a square that a double holds.
    arguments.retain(|a| a.is_finite() && *a != 0.0);
    let rows: Vec<_> = arguments.iter().map(|a| vec![a.to_bits()]).collect();
    let all = MODES.map(|(word, _)| run(&format!("sqrt.{word}.f64"), "f64", &["f64"], &rows));
    for (index, a) in arguments.iter().enumerate() {
        let [near, zero, down, up] = [0, 1, 2, 3].map(|m: usize| f64::from_bits(all[m][index]));
        assert_eq!(zero.to_bits(), down.to_bits(), "{a}");
        // Without underflow, the sign of a fused square minus the argument is exact.
        let scaled = |x: f64| {
            let (x, a) = if *a < 1e-200 {
                (x * 2f64.powi(500), a * 2f64.powi(1000))
            } else {
                (x, *a)
            };
            x.mul_add(x, -a)
        };
        assert!(
            scaled(down) <= 0.0 && scaled(down.next_up()) > 0.0,
            "{a}: {down}"
        );
        assert!(scaled(up) >= 0.0, "{a}: {up}");
        assert!(up == down || up == down.next_up(), "{a}: {down} {up}");
        assert_eq!(near, a.sqrt(), "{a}");
    }
}

#[test]
fn halves_are_rounded_once() {
    let mut edges: Vec<u64> = vec![
        0, 1, 0x3ff, 0x400, 0x3c00, 0x3c01, 0x3bff, 0x7bff, 0x7c00, 0x7e00, 0x2e66,
    ];
    edges.extend(edges.clone().iter().map(|bits| bits | 0x8000));
    let (two, three) = (rows(&edges, 2, 16), rows(&edges, 3, 16));
    let half = |bits: u64| Half::from_bits(u128::from(bits));
    let mode = Round::NearestTiesToEven;
    let s = ["b16"; 2];
    check("add.f16", "b16", &s, &two, |r| {
        bits(half(r[0]).add_r(half(r[1]), mode).value)
    });
    check("sub.f16", "b16", &s, &two, |r| {
        bits(half(r[0]).sub_r(half(r[1]), mode).value)
    });
    check("mul.f16", "b16", &s, &two, |r| {
        bits(half(r[0]).mul_r(half(r[1]), mode).value)
    });
    check("fma.rn.f16", "b16", &["b16"; 3], &three, |r| {
        bits(half(r[0]).mul_add_r(half(r[1]), half(r[2]), mode).value)
    });
}

#[test]
fn flushing_and_saturation() {
    let two = rows(&singles(), 2, 32);
    let flush = |bits: u64| {
        if bits & 0x7f80_0000 == 0 {
            bits & 0x8000_0000
        } else {
            bits
        }
    };
    let value = |bits: u64| f32::from_bits(flush(bits) as u32);
    check("add.ftz.f32", "f32", &["f32"; 2], &two, |r| {
        flush(u64::from((value(r[0]) + value(r[1])).to_bits()))
    });
    check("mul.rn.ftz.f32", "f32", &["f32"; 2], &two, |r| {
        flush(u64::from((value(r[0]) * value(r[1])).to_bits()))
    });
    check("add.sat.f32", "f32", &["f32"; 2], &two, |r| {
        let sum = f32::from_bits(r[0] as u32) + f32::from_bits(r[1] as u32);
        let clamped = if sum.is_nan() {
            0.0
        } else {
            sum.clamp(0.0, 1.0)
        };
        // A zero that was clamped to has no sign.
        u64::from((clamped + 0.0).to_bits())
    });
}

#[test]
fn comparisons_of_floats() {
    let two = rows(&singles(), 2, 32);
    for ty in ["f32", "f64"] {
        // A single as a double compares alike.
        let rows: Vec<Vec<u64>> = match ty {
            "f32" => two.clone(),
            _ => {
                let wide = |bits: &u64| f64::from(f32::from_bits(*bits as u32)).to_bits();
                two.iter()
                    .map(|row| row.iter().map(wide).collect())
                    .collect()
            }
        };
        let value = |bits: u64| match ty {
            "f32" => f64::from(f32::from_bits(bits as u32)),
            _ => f64::from_bits(bits),
        };
        for word in ["eq", "ne", "lt", "le", "gt", "ge"] {
            use std::cmp::Ordering::{Equal, Greater, Less};
            let holds = |order: Option<std::cmp::Ordering>, unordered: bool| {
                order.map_or(unordered, |order| match word {
                    "eq" => order == Equal,
                    "ne" => order != Equal,
                    "lt" => order == Less,
                    "le" => order != Greater,
                    "gt" => order == Greater,
                    _ => order != Less,
                })
            };
            for (suffix, unordered) in [("", false), ("u", true)] {
                check(
                    &format!("setp.{word}{suffix}.{ty}"),
                    "pred",
                    &[ty, ty],
                    &rows,
                    |r| u64::from(holds(value(r[0]).partial_cmp(&value(r[1])), unordered)),
                );
            }
        }
        for (word, min) in [("min", true), ("max", false)] {
            check(&format!("{word}.{ty}"), ty, &[ty, ty], &rows, |r| {
                let (a, b) = (value(r[0]), value(r[1]));
                // By the bits: -0 is less than +0. A number wins over a NaN.
                let first = match (a.is_nan(), b.is_nan()) {
                    (false, false) => (a.total_cmp(&b) == std::cmp::Ordering::Less) == min,
                    (nan, _) => !nan,
                };
                if first { r[0] } else { r[1] }
            });
        }
    }
}

/// Float to integer, integer to float, float to float, in every rounding.
#[test]
fn conversions_in_every_rounding() {
    let one = rows(&singles(), 1, 32);
    let near: Vec<_> = [
        0.5f32,
        1.5,
        2.5,
        -0.5,
        -1.5,
        254.5,
        255.5,
        2_147_483_648.0,
        -2_147_483_904.0,
        1e19,
    ]
    .iter()
    .map(|v| vec![u64::from(v.to_bits())])
    .collect();
    let one = [one, near].concat();
    for (word, mode) in MODES {
        for (to, width, signed) in [
            ("u8", 8, false),
            ("s8", 8, true),
            ("s16", 16, true),
            ("u32", 32, false),
            ("s32", 32, true),
            ("u64", 64, false),
            ("s64", 64, true),
        ] {
            let register = format!("b{}", width.max(16));
            let mask = u64::MAX >> (64 - width.max(16));
            check(
                &format!("cvt.{word}i.{to}.f32"),
                &register,
                &["f32"],
                &one,
                |r| {
                    let value = single(r[0]);
                    if value.is_nan() {
                        return if width == 64 { 1 << 63 } else { 0 };
                    }
                    let mut exact = false;
                    match signed {
                        true => value.to_i128_r(width, mode, &mut exact).value as u64 & mask,
                        false => value.to_u128_r(width, mode, &mut exact).value as u64,
                    }
                },
            );
        }
        check(
            &format!("cvt.{word}.f32.s64"),
            "f32",
            &["b64"],
            &rows(&LONGS, 1, 64),
            |r| bits(Single::from_i128_r(i128::from(r[0] as i64), mode).value),
        );
        check(
            &format!("cvt.{word}.f64.u64"),
            "f64",
            &["b64"],
            &rows(&LONGS, 1, 64),
            |r| bits(Double::from_u128_r(u128::from(r[0]), mode).value),
        );
        check(
            &format!("cvt.{word}.f16.s32"),
            "b16",
            &["b32"],
            &rows(&WORDS, 1, 32),
            |r| bits(Half::from_i128_r(i128::from(r[0] as i32), mode).value),
        );
        check(
            &format!("cvt.{word}.f32.f64"),
            "f32",
            &["f64"],
            &rows(&doubles(), 1, 64),
            |r| {
                let converted: Single = double(r[0]).convert_r(mode, &mut false).value;
                bits(converted)
            },
        );
        check(&format!("cvt.{word}.f16.f32"), "b16", &["f32"], &one, |r| {
            let converted: Half = single(r[0]).convert_r(mode, &mut false).value;
            bits(converted)
        });
        check(
            &format!("cvt.{word}i.f32.f32"),
            "f32",
            &["f32"],
            &one,
            |r| bits(single(r[0]).round_to_integral(mode).value),
        );
    }
    let one = rows(&WORDS, 1, 32);
    check("cvt.s64.s32", "b64", &["b32"], &one, |r| {
        i64::from(r[0] as i32) as u64
    });
    check("cvt.s64.s8", "b64", &["b32"], &one, |r| {
        i64::from(r[0] as i8) as u64
    });
    check("cvt.u16.s8", "b16", &["b32"], &one, |r| {
        u64::from(r[0] as i8 as u16)
    });
    check("cvt.sat.u8.s32", "b32", &["b32"], &one, |r| {
        (r[0] as i32).clamp(0, 255) as u64
    });
    check("cvt.sat.s16.u32", "b16", &["b32"], &one, |r| {
        r[0].min(0x7fff)
    });
    check(
        "cvt.f32.f16",
        "f32",
        &["b16"],
        &rows(&[0, 1, 0x3ff, 0x3c00, 0x7c00, 0x7e00], 1, 16),
        |r| {
            let converted: Single = Half::from_bits(u128::from(r[0])).convert(&mut false).value;
            bits(converted)
        },
    );
}

/// Each bound is that of the PTX ISA's section.
#[test]
fn approximations_keep_their_bounds() {
    let mut random = Random(11);
    let mut uniform = |low: f64, high: f64| {
        let unit = random.bits() as f64 / u64::MAX as f64;
        u64::from(((low + (high - low) * unit) as f32).to_bits())
    };
    type Exact = fn(f64) -> f64;
    let two = 2f64;
    let table: [(&str, f64, f64, Exact, f64, f64); 8] = [
        // form, arguments, exact, absolute and relative bound
        ("rcp.approx.f32", 0.1, 1e6, |x| 1.0 / x, 0.0, two.powi(-23)),
        ("sqrt.approx.f32", 0.0, 1e6, f64::sqrt, 0.0, two.powi(-23)),
        (
            "rsqrt.approx.f32",
            0.1,
            1e6,
            |x| 1.0 / x.sqrt(),
            0.0,
            two.powf(-22.9),
        ),
        ("sin.approx.f32", -3.0, 3.0, f64::sin, two.powf(-20.5), 0.0),
        ("cos.approx.f32", -3.0, 3.0, f64::cos, two.powf(-20.5), 0.0),
        ("lg2.approx.f32", 0.5, 2.0, f64::log2, two.powi(-22), 0.0),
        (
            "ex2.approx.f32",
            -30.0,
            30.0,
            f64::exp2,
            0.0,
            two.powf(-22.5),
        ),
        ("tanh.approx.f32", -5.0, 5.0, f64::tanh, 0.0, two.powi(-11)),
    ];
    for (form, low, high, exact, absolute, relative) in table {
        let rows: Vec<_> = (0..1000).map(|_| vec![uniform(low, high)]).collect();
        let got = run(form, "f32", &["f32"], &rows);
        for (row, got) in rows.iter().zip(got) {
            let x = f64::from(f32::from_bits(row[0] as u32));
            let (got, exact) = (f64::from(f32::from_bits(got as u32)), exact(x));
            let error = (got - exact).abs();
            assert!(
                error <= absolute + relative * exact.abs(),
                "{form} {x}: {got}, {exact}"
            );
        }
    }
    // Of doubles, which the ISA's table does not have: as good as can be.
    let rows: Vec<_> = (0..1000u64)
        .map(|n| vec![(n as f64 * 1e300).to_bits()])
        .collect();
    let got = run("sqrt.approx.f64", "f64", &["f64"], &rows);
    for (row, got) in rows.iter().zip(got) {
        let exact = f64::from_bits(row[0]).sqrt();
        assert_eq!(got, exact.to_bits());
    }
}
