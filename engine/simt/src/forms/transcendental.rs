//! What the ISA gives with an error bound. Here they are the platform's
//! functions, or those of a double, whose error is below each bound.
//! Source: PTX ISA 9.7.3.13 to 9.7.3.22.

use crate::form::Form;

pub(super) const FORMS: &[Form] = &[
    form!("rcp.approx{.ftz}.f32 d, a", "9.7.3.13", |_| {
        Some(lanes1!(m, f32 => f32, |a| m.give(1.0 / m.take(a))))
    }),
    form!("rcp.approx.ftz.f64 d, a", "9.7.3.14", |_| {
        // The lower half of the result is 0, and what is subnormal is a zero.
        Some(lanes1!(_, f64 => f64, |a| {
            let flush = |x: f64| if x.is_subnormal() { 0f64.copysign(x) } else { x };
            let result = flush(1.0 / flush(a));
            f64::from_bits(result.to_bits() & !0xffff_ffff)
        }))
    }),
    // Not in the ISA's table, but what tinygrad writes for doubles; so is the root.
    form!("rcp.approx.f64 d, a", "9.7.3.13", |_| {
        Some(lanes1!(_, f64 => f64, |a| 1.0 / a))
    }),
    form!("sqrt.approx{.ftz}.f32 d, a", "9.7.3.15", |_| {
        Some(lanes1!(m, f32 => f32, |a| m.give(m.take(a).sqrt())))
    }),
    form!("sqrt.approx.f64 d, a", "9.7.3.15", |_| {
        Some(lanes1!(_, f64 => f64, |a: f64| a.sqrt()))
    }),
    form!("rsqrt.approx{.ftz}.f32 d, a", "9.7.3.16", |_| {
        Some(lanes1!(m, f32 => f32, |a| m.give((1.0 / f64::from(m.take(a)).sqrt()) as f32)))
    }),
    form!("rsqrt.approx.f64 d, a", "9.7.3.16", |_| {
        Some(lanes1!(_, f64 => f64, |a: f64| 1.0 / a.sqrt()))
    }),
    form!("sin.approx{.ftz}.f32 d, a", "9.7.3.18", |_| {
        Some(lanes1!(m, f32 => f32, |a| m.give(m.take(a).sin())))
    }),
    form!("cos.approx{.ftz}.f32 d, a", "9.7.3.19", |_| {
        Some(lanes1!(m, f32 => f32, |a| m.give(m.take(a).cos())))
    }),
    form!("lg2.approx{.ftz}.f32 d, a", "9.7.3.20", |_| {
        Some(lanes1!(m, f32 => f32, |a| m.give(m.take(a).log2())))
    }),
    form!("ex2.approx{.ftz}.f32 d, a", "9.7.3.21", |_| {
        Some(lanes1!(m, f32 => f32, |a| m.give(m.take(a).exp2())))
    }),
    form!("tanh.approx.f32 d, a", "9.7.3.22", |_| {
        Some(lanes1!(_, f32 => f32, f32::tanh))
    }),
];
