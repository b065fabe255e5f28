//! Matrices of a warp: their products, and loading them. Source: PTX ISA 9.7.14.
//!
//! The 32 lanes hold parts of each matrix, as the ISA's figures of fragments
//! show. A sum is made in a double and rounded once, where the ISA asks for
//! single precision at least: whole numbers are exact, and halves are too
//! where their sum is.

use half::{bf16, f16};

use crate::code::Action;
use crate::execution::Execution;
use crate::fault::Failure;
use crate::form::Form;
use crate::instruction::{Instruction, Rounding::Nearest};
use crate::round;
use crate::shared::PIECE_MAX;
use crate::state::State;
use crate::words::Words;

pub(super) const FORMS: &[Form] = &[
    form!(
        "mma.sync.aligned.m16n8k8.row.col.f16.f16.f16.f16 {d*2}:b32, {a*2}:b32, {b*1}:b32, {c*2}:b32, warp",
        "9.7.14.5.14",
        |_| Some(Action::Together(multiply::<f16, f16, f16, 16, 8>))
    ),
    form!(
        "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {d*4}:b32, {a*2}:b32, {b*1}:b32, {c*4}:b32, warp",
        "9.7.14.5.14",
        |_| Some(Action::Together(multiply::<f16, f16, f32, 16, 8>))
    ),
    form!(
        "mma.sync.aligned.m16n8k16.row.col.f16.f16.f16.f16 {d*2}:b32, {a*4}:b32, {b*2}:b32, {c*2}:b32, warp",
        "9.7.14.5.14",
        |_| Some(Action::Together(multiply::<f16, f16, f16, 16, 16>))
    ),
    form!(
        "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {d*4}:b32, {a*4}:b32, {b*2}:b32, {c*4}:b32, warp",
        "9.7.14.5.14",
        |_| Some(Action::Together(multiply::<f16, f16, f32, 16, 16>))
    ),
    form!(
        "mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32 {d*4}:b32, {a*2}:b32, {b*1}:b32, {c*4}:b32, warp",
        "9.7.14.5.14",
        |_| Some(Action::Together(multiply::<bf16, bf16, f32, 16, 8>))
    ),
    form!(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {d*4}:b32, {a*4}:b32, {b*2}:b32, {c*4}:b32, warp",
        "9.7.14.5.14",
        |_| Some(Action::Together(multiply::<bf16, bf16, f32, 16, 16>))
    ),
    form!(
        "mma.sync.aligned.m16n8k4.row.col.f32.tf32.tf32.f32 {d*4}:b32, {a*2}:b32, {b*1}:b32, {c*4}:b32, warp",
        "9.7.14.5.14",
        |_| Some(Action::Together(multiply::<Tf32, Tf32, f32, 16, 4>))
    ),
    form!(
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {d*4}:b32, {a*4}:b32, {b*2}:b32, {c*4}:b32, warp",
        "9.7.14.5.14",
        |_| Some(Action::Together(multiply::<Tf32, Tf32, f32, 16, 8>))
    ),
    form!(
        "mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {d*2}:f64, {a*1}:f64, {b*1}:f64, {c*2}:f64, warp",
        "9.7.14.5.14",
        |_| Some(Action::Together(multiply::<f64, f64, f64, 8, 4>))
    ),
    form!(
        "mma.sync.aligned.m8n8k16.row.col{.satfinite}.s32.[u8 s8].[u8 s8].s32 {d*2}:b32, {a*1}:b32, {b*1}:b32, {c*2}:b32, warp",
        "9.7.14.5.14",
        |w| Some(Action::Together(bytes::<8, 16>(w)))
    ),
    form!(
        "mma.sync.aligned.m16n8k16.row.col{.satfinite}.s32.[u8 s8].[u8 s8].s32 {d*4}:b32, {a*2}:b32, {b*1}:b32, {c*4}:b32, warp",
        "9.7.14.5.14",
        |w| Some(Action::Together(bytes::<16, 16>(w)))
    ),
    form!(
        "mma.sync.aligned.m16n8k32.row.col{.satfinite}.s32.[u8 s8].[u8 s8].s32 {d*4}:b32, {a*4}:b32, {b*2}:b32, {c*4}:b32, warp",
        "9.7.14.5.14",
        |w| Some(Action::Together(bytes::<16, 32>(w)))
    ),
    form!(
        "ldmatrix.sync.aligned.m8n8.x1{.trans}{.[shared shared::cta]}.b16 {d*1}:b32, [b], warp",
        "9.7.14.5.15",
        |w| Some(Action::WholeWarp(match w.has("trans") {
            false => load::<1, false>,
            true => load::<1, true>,
        }))
    ),
    form!(
        "ldmatrix.sync.aligned.m8n8.x2{.trans}{.[shared shared::cta]}.b16 {d*2}:b32, [b], warp",
        "9.7.14.5.15",
        |w| Some(Action::WholeWarp(match w.has("trans") {
            false => load::<2, false>,
            true => load::<2, true>,
        }))
    ),
    form!(
        "ldmatrix.sync.aligned.m8n8.x4{.trans}{.[shared shared::cta]}.b16 {d*4}:b32, [b], warp",
        "9.7.14.5.15",
        |w| Some(Action::WholeWarp(match w.has("trans") {
            false => load::<4, false>,
            true => load::<4, true>,
        }))
    ),
];

/// An element of a matrix, of which a register holds one or more. Its values
/// and the product of two of them are exact in a double, but for a double's.
trait Element {
    /// How many a register holds.
    const COUNT: usize;
    /// Bits of one.
    const WIDTH: usize;
    fn take(bits: u64) -> f64;
    fn give(value: f64) -> u64;
    fn add_product(sum: f64, a: f64, b: f64) -> f64 {
        sum + a * b
    }
}

/// A single of which the low 13 bits do not count.
struct Tf32;
/// A sum that is clamped, and not wrapped.
struct Clamped;

macro_rules! element {
    ($($ty:ty: $count:literal x $width:literal, |$bits:ident| $take:expr, |$value:ident| $give:expr;)*) => {$(
        impl Element for $ty {
            const COUNT: usize = $count;
            const WIDTH: usize = $width;
            fn take($bits: u64) -> f64 { $take }
            fn give($value: f64) -> u64 { $give }
        }
    )*};
}

element! {
    f16: 2 x 16, |b| f16::from_bits(b as u16).to_f64(), |v| u64::from(round::half(v, Nearest).to_bits());
    bf16: 2 x 16, |b| bf16::from_bits(b as u16).to_f64(), |v| u64::from(round::brain(v, Nearest).to_bits());
    Tf32: 1 x 32, |b| f64::from(f32::from_bits(b as u32 & !0x1fff)), |v| u64::from((v as f32).to_bits());
    f32: 1 x 32, |b| f64::from(f32::from_bits(b as u32)), |v| u64::from((v as f32).to_bits());
    u8: 4 x 8, |b| f64::from(b as u8), |v| v as u64 & 0xff;
    i8: 4 x 8, |b| f64::from(b as i8), |v| v as i64 as u64 & 0xff;
    i32: 1 x 32, |b| f64::from(b as i32), |v| v as i64 as u64 & 0xffff_ffff;
    Clamped: 1 x 32, |b| f64::from(b as i32), |v| u64::from(v as i32 as u32);
}

impl Element for f64 {
    const COUNT: usize = 1;
    const WIDTH: usize = 64;
    fn take(bits: u64) -> f64 {
        f64::from_bits(bits)
    }
    fn give(value: f64) -> u64 {
        value.to_bits()
    }
    fn add_product(sum: f64, a: f64, b: f64) -> f64 {
        a.mul_add(b, sum)
    }
}

/// Matrices of eight rows of eight halves, which lie anywhere in shared memory: their addresses are
/// those of the lanes in order. A lane of each four has a part of a row, or of a column.
fn load<const COUNT: usize, const COLUMNS: bool>(
    x: &mut Execution<'_>,
    i: &Instruction,
    mask: u32,
) -> Result<(), Failure> {
    let addresses = x.other_addresses(i, COUNT);
    for matrix in 0..COUNT {
        let mut rows = [[0u8; PIECE_MAX]; 8];
        for (row, to) in rows.iter_mut().enumerate() {
            let lane = matrix * 8 + row;
            // What rows are whose lane is not there, is left open.
            if mask >> lane & 1 != 0 {
                let at = x.in_shared(i.modifiers.space, addresses[lane], PIECE_MAX as u64, lane)?;
                x.watch_read(i, lane, at, PIECE_MAX)?;
                to.copy_from_slice(&x.shared[at..][..PIECE_MAX]);
            }
        }
        let half = |row: usize, column: usize| {
            let bytes = [rows[row][column * 2], rows[row][column * 2 + 1]];
            u32::from(u16::from_le_bytes(bytes))
        };
        let parts = std::array::from_fn::<u32, 32, _>(|lane| {
            let (line, first) = (lane / 4, lane % 4 * 2);
            match COLUMNS {
                false => half(line, first) | half(line, first + 1) << 16,
                true => half(first, line) | half(first + 1, line) << 16,
            }
        });
        x.state.write(i.operands[matrix], &parts, mask);
    }
    Ok(())
}

type Together = fn(&mut State, &Instruction, u32);

/// The product of matrices of bytes.
fn bytes<const M: usize, const K: usize>(w: &Words<'_>) -> Together {
    let signed = |index: usize| w.types.get(index) == Some(&vgpu_ptx::Type::S8);
    match (signed(1), signed(2), w.has("satfinite")) {
        (false, false, false) => multiply::<u8, u8, i32, M, K>,
        (false, true, false) => multiply::<u8, i8, i32, M, K>,
        (true, false, false) => multiply::<i8, u8, i32, M, K>,
        (true, true, false) => multiply::<i8, i8, i32, M, K>,
        (false, false, true) => multiply::<u8, u8, Clamped, M, K>,
        (false, true, true) => multiply::<u8, i8, Clamped, M, K>,
        (true, false, true) => multiply::<i8, u8, Clamped, M, K>,
        (true, true, true) => multiply::<i8, i8, Clamped, M, K>,
    }
}

/// `f(lane, index among the lane's elements, value)` of all elements in `count`
/// registers from operand `first` on.
fn elements<E: Element>(
    s: &State,
    i: &Instruction,
    first: usize,
    count: usize,
    mut f: impl FnMut(usize, usize, f64),
) {
    for register in 0..count {
        let bits: [u64; 32] = s.read(i.operands[first + register]);
        for (lane, bits) in bits.into_iter().enumerate() {
            for element in 0..E::COUNT {
                let value = E::take(bits >> (element * E::WIDTH));
                f(lane, register * E::COUNT + element, value);
            }
        }
    }
}

/// `D = A * B + C`, of M x K, K x 8 and M x 8 elements.
fn multiply<A: Element, B: Element, C: Element, const M: usize, const K: usize>(
    s: &mut State,
    i: &Instruction,
    mask: u32,
) {
    let registers = |elements: usize, count: usize| elements / 32 / count;
    let of_c = registers(M * 8, C::COUNT);
    let (of_a, of_b) = (registers(M * K, A::COUNT), registers(K * 8, B::COUNT));
    let mut a = [[0f64; 32]; 16];
    elements::<A>(s, i, of_c, of_a, |lane, index, value| {
        let (register, element) = (index / A::COUNT, index % A::COUNT);
        // The upper rows of a register's columns, then the lower ones.
        let row = lane / 4 + register % (M / 8) * 8;
        let column = register / (M / 8) * 4 * A::COUNT + lane % 4 * A::COUNT + element;
        a[row][column] = value;
    });
    let mut b = [[0f64; 32]; 8];
    elements::<B>(s, i, of_c + of_a, of_b, |lane, index, value| {
        let (register, element) = (index / B::COUNT, index % B::COUNT);
        b[lane / 4][register * 4 * B::COUNT + lane % 4 * B::COUNT + element] = value;
    });
    let mut results = [[0u64; 32]; 4];
    elements::<C>(s, i, of_c + of_a + of_b, of_c, |lane, index, value| {
        let (row, column) = (lane / 4 + index / 2 * 8, lane % 4 * 2 + index % 2);
        let products = a[row].iter().zip(&b[column]).take(K);
        let sum = products.fold(value, |sum, (a, b)| C::add_product(sum, *a, *b));
        results[index / C::COUNT][lane] |= C::give(sum) << (index % C::COUNT * C::WIDTH);
    });
    for (register, values) in results.iter().enumerate().take(of_c) {
        s.write(i.operands[register], values, mask);
    }
}
