//! The kernels of `tests/corpus/opencl`: what they are launched with, and what
//! they have to give.
//!
//! All of them take two buffers of singles, a result, and a size.

use super::Random;

pub(crate) const TEXT: &str = include_str!("../../../../tests/corpus/opencl/kernels.ptx");

/// Threads of a group in one dimension, and of a square tile's side.
const GROUP: u32 = 256;
const TILE: u32 = 16;

/// How a kernel is launched for a size.
#[derive(Clone, Copy)]
pub(crate) enum Shape {
    /// A thread for each of `n`, or for each of the next multiple of a group.
    Line,
    /// So many groups, whatever the size.
    Groups(u32),
    /// A thread for each of `n` by `n`.
    Square,
}

/// What a result is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Singles,
    Words,
}

pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) kind: Kind,
    /// The size in tests, and in benchmarks.
    pub(crate) small: u32,
    pub(crate) large: u32,
    /// The result for `a`, `b`, `n`, in doubles or exact.
    pub(crate) oracle: fn(&[f32], &[f32], usize) -> Vec<f64>,
}

impl Case {
    pub(crate) fn blocks(&self, n: u32) -> [u32; 3] {
        match self.shape {
            Shape::Line => [n.div_ceil(GROUP), 1, 1],
            Shape::Groups(count) => [count, 1, 1],
            Shape::Square => [n / TILE, n / TILE, 1],
        }
    }

    pub(crate) fn threads(&self) -> [u32; 3] {
        match self.shape {
            Shape::Square => [TILE, TILE, 1],
            _ => [GROUP, 1, 1],
        }
    }

    /// Values of each of the three buffers.
    pub(crate) fn length(&self, n: u32) -> usize {
        let n = n as usize;
        match self.shape {
            Shape::Square => n * n,
            _ => n,
        }
    }

    /// Both inputs, the same each time, between 0 and 1.
    pub(crate) fn inputs(&self, n: u32) -> [Vec<f32>; 2] {
        let mut random = Random(u64::from(n));
        let mut value = |_| (random.bits() >> 40) as f32 / (1 << 24) as f32;
        let mut buffer = || (0..self.length(n)).map(&mut value).collect();
        [buffer(), buffer()]
    }
}

macro_rules! case {
    ($name:ident, $shape:expr, $kind:ident, $small:expr, $large:expr) => {
        Case {
            name: stringify!($name),
            shape: $shape,
            kind: Kind::$kind,
            small: $small,
            large: $large,
            oracle: $name,
        }
    };
}

pub(crate) const CASES: [Case; 11] = [
    case!(vector_add, Shape::Line, Singles, 1000, 1 << 20),
    case!(saxpy, Shape::Line, Singles, 1000, 1 << 20),
    case!(reduction, Shape::Groups(16), Singles, 10_000, 1 << 20),
    case!(matmul_naive, Shape::Square, Singles, 32, 256),
    case!(matmul_tiled, Shape::Square, Singles, 32, 256),
    case!(transpose, Shape::Square, Singles, 48, 1024),
    case!(histogram, Shape::Groups(16), Words, 10_000, 1 << 20),
    case!(nbody, Shape::Line, Singles, 512, 2048),
    case!(mandelbrot, Shape::Square, Words, 32, 256),
    case!(prefix_sum, Shape::Line, Singles, 512, 1 << 19),
    case!(convolution, Shape::Square, Singles, 32, 512),
];

fn wide(values: &[f32]) -> impl Iterator<Item = f64> {
    values.iter().map(|value| f64::from(*value))
}

fn vector_add(a: &[f32], b: &[f32], _: usize) -> Vec<f64> {
    wide(a).zip(wide(b)).map(|(a, b)| a + b).collect()
}

fn saxpy(a: &[f32], b: &[f32], _: usize) -> Vec<f64> {
    wide(a).zip(wide(b)).map(|(a, b)| 2.5 * a + b).collect()
}

/// Group g adds up what lies g groups after each multiple of all of them.
fn reduction(a: &[f32], _: &[f32], _: usize) -> Vec<f64> {
    let mut sums = vec![0.0; 16];
    for (index, value) in wide(a).enumerate() {
        sums[index / GROUP as usize % 16] += value;
    }
    sums
}

fn matmul_naive(a: &[f32], b: &[f32], n: usize) -> Vec<f64> {
    let element = |row: usize, column: usize| {
        let product = |k| f64::from(a[row * n + k]) * f64::from(b[k * n + column]);
        (0..n).map(product).sum()
    };
    (0..n * n).map(|i| element(i / n, i % n)).collect()
}

fn matmul_tiled(a: &[f32], b: &[f32], n: usize) -> Vec<f64> {
    matmul_naive(a, b, n)
}

fn transpose(a: &[f32], _: &[f32], n: usize) -> Vec<f64> {
    (0..n * n)
        .map(|i| f64::from(a[i % n * n + i / n]))
        .collect()
}

fn histogram(a: &[f32], _: &[f32], _: usize) -> Vec<f64> {
    let mut bins = vec![0.0; 64];
    for value in a {
        bins[(value * 64.0) as usize & 63] += 1.0;
    }
    bins
}

fn nbody(a: &[f32], b: &[f32], n: usize) -> Vec<f64> {
    let pull = |i: usize| {
        let one = |k: usize| {
            let (dx, dy) = (f64::from(a[k] - a[i]), f64::from(b[k] - b[i]));
            let d = dx * dx + dy * dy + f64::from(0.01f32);
            dx / (d * d.sqrt())
        };
        (0..n).map(one).sum()
    };
    (0..n).map(pull).collect()
}

fn mandelbrot(_: &[f32], _: &[f32], n: usize) -> Vec<f64> {
    let steps = |index: usize| {
        let (cx, cy) = ((index % n) as f32, (index / n) as f32);
        let (cx, cy) = (cx / n as f32 * 3.0 - 2.0, cy / n as f32 * 3.0 - 1.5);
        let (mut x, mut y, mut step) = (0f32, 0f32, 0);
        while step < 100 && x * x + y * y < 4.0 {
            (x, y) = (x * x - y * y + cx, 2.0 * x * y + cy);
            step += 1;
        }
        f64::from(step)
    };
    (0..n * n).map(steps).collect()
}

fn prefix_sum(a: &[f32], _: &[f32], _: usize) -> Vec<f64> {
    let group = |values: &[f32]| {
        let mut sum = 0.0;
        let next = |value| {
            sum += value;
            sum
        };
        wide(values).map(next).collect::<Vec<_>>()
    };
    a.chunks(GROUP as usize).flat_map(group).collect()
}

fn convolution(a: &[f32], b: &[f32], n: usize) -> Vec<f64> {
    let element = |index: usize| {
        let mut sum = 0.0;
        for (k, weight) in wide(&b[..25]).enumerate() {
            let (x, y) = ((index % n + k % 5), (index / n + k / 5));
            if (2..n + 2).contains(&x) && (2..n + 2).contains(&y) {
                sum += weight * f64::from(a[(y - 2) * n + x - 2]);
            }
        }
        sum
    };
    (0..n * n).map(element).collect()
}
