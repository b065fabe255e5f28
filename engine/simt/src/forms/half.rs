//! Arithmetic on halves and on pairs of them, each rounded once. Source: PTX ISA 9.7.4.

use half::f16;

use crate::code::Action;
use crate::form::Form;
use crate::instruction::{Modifiers, Rounding::Nearest};
use crate::round::{half as rounded, odd, sum_error};
use crate::words::Words;

/// `op` on halves and on pairs, with `.ftz` and `.sat`.
macro_rules! both {
    (2, $f:expr) => {
        |w: &Words<'_>| Some(match w.has("f16x2") {
            true => lanes2!(m, [f16; 2], [f16; 2] => [f16; 2], |a, b| {
                [apply2(m, a[0], b[0], $f), apply2(m, a[1], b[1], $f)]
            }),
            false => lanes2!(m, f16, f16 => f16, |a, b| apply2(m, a, b, $f)),
        })
    };
    (1, $f:expr) => {
        |w: &Words<'_>| Some(match w.has("f16x2") {
            true => lanes1!(m, [f16; 2] => [f16; 2], |a| {
                [give(m, $f(take(m, a[0]))), give(m, $f(take(m, a[1])))]
            }),
            false => lanes1!(m, f16 => f16, |a| give(m, $f(take(m, a)))),
        })
    };
}

pub(super) const FORMS: &[Form] = &[
    form!(
        "add{.rn}{.ftz}{.sat}.[f16 f16x2] d, a, b",
        "9.7.4.1",
        both!(2, |a, b| once(f32::from(a) + f32::from(b)))
    ),
    form!(
        "sub{.rn}{.ftz}{.sat}.[f16 f16x2] d, a, b",
        "9.7.4.2",
        both!(2, |a, b| once(f32::from(a) - f32::from(b)))
    ),
    form!(
        "mul{.rn}{.ftz}{.sat}.[f16 f16x2] d, a, b",
        "9.7.4.3",
        both!(2, |a, b| once(f32::from(a) * f32::from(b)))
    ),
    form!("fma.rn{.ftz}{.sat}.[f16 f16x2] d, a, b, c", "9.7.4.4", fma),
    form!(
        "neg{.ftz}.[f16 f16x2] d, a",
        "9.7.4.5",
        both!(1, |a: f16| -a)
    ),
    form!(
        "abs{.ftz}.[f16 f16x2] d, a",
        "9.7.4.6",
        both!(1, |a: f16| f16::from_bits(a.to_bits() & 0x7fff))
    ),
    form!(
        "min{.ftz}.[f16 f16x2] d, a, b",
        "9.7.4.7",
        both!(2, super::float::min_16)
    ),
    form!(
        "max{.ftz}.[f16 f16x2] d, a, b",
        "9.7.4.8",
        both!(2, super::float::max_16)
    ),
    form!(
        "ex2.approx.[f16 f16x2] d, a",
        "9.7.4.10",
        both!(1, |a: f16| once(f32::from(a).exp2()))
    ),
    form!(
        "tanh.approx.[f16 f16x2] d, a",
        "9.7.4.9",
        both!(1, |a: f16| once(f32::from(a).tanh()))
    ),
];

/// A single that has more than twice a half's bits rounds as the exact value.
fn once(x: f32) -> f16 {
    f16::from_f32(x)
}

fn subnormal(x: f16) -> bool {
    x.to_bits() & 0x7c00 == 0
}

fn take(m: Modifiers, x: f16) -> f16 {
    match m.flush && subnormal(x) {
        true => f16::from_bits(x.to_bits() & 0x8000),
        false => x,
    }
}

fn give(m: Modifiers, x: f16) -> f16 {
    let x = take(m, x);
    match m.saturate {
        false => x,
        true if x > f16::ONE => f16::ONE,
        true if x > f16::ZERO => x,
        true => f16::ZERO,
    }
}

fn apply2(m: Modifiers, a: f16, b: f16, f: impl Fn(f16, f16) -> f16) -> f16 {
    give(m, f(take(m, a), take(m, b)))
}

fn fused(m: Modifiers, a: f16, b: f16, c: f16) -> f16 {
    let [a, b, c] = [a, b, c].map(|x| take(m, x).to_f64());
    let (product, sum) = (a * b, a * b + c);
    give(m, rounded(odd(sum, sum_error(product, c, sum)), Nearest))
}

fn fma(w: &Words<'_>) -> Option<Action> {
    Some(match w.has("f16x2") {
        true => lanes3!(m, [f16; 2], [f16; 2], [f16; 2] => [f16; 2], |a, b, c| {
            [fused(m, a[0], b[0], c[0]), fused(m, a[1], b[1], c[1])]
        }),
        false => lanes3!(m, f16, f16, f16 => f16, |a, b, c| fused(m, a, b, c)),
    })
}
