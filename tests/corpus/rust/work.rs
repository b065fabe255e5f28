//! What each kernel does for one thread: the same source for the host and for
//! nvptx64. Each takes three words and gives one. Nothing here panics, and any
//! result that is no number is given as one.

/// Every kernel, for a macro that does something with each.
macro_rules! each_kernel {
    ($with:ident) => {
        $with! {
            wide_product, signed_high, mixed_hash, greatest_divisor, power_modulo, steps_to_one,
            bits_and_bytes, shifts, saturating, checked, casts_to_integers, casts_to_floats,
            float_arithmetic, double_arithmetic, escape_time, newton, sorted, matrix_product,
            state_machine, decimal, checksum, generators, polynomial_of_bits, ordered_floats
        }
    };
}
pub(crate) use each_kernel;

type Words = [u64; 3];

fn single(bits: u64) -> f32 {
    f32::from_bits(bits as u32)
}

/// The bits of a result; any that is no number is the same.
fn given(x: f32) -> u64 {
    if x.is_nan() {
        0x7fff_ffff
    } else {
        u64::from(x.to_bits())
    }
}

fn given_double(x: f64) -> u64 {
    if x.is_nan() {
        u64::MAX >> 1
    } else {
        x.to_bits()
    }
}

/// A finite number in a range that arithmetic does not leave soon.
fn tame(bits: u64) -> f32 {
    f32::from_bits(bits as u32 & 0x80ff_ffff | 0x3f00_0000)
}

pub(crate) fn wide_product([a, b, c]: Words) -> u64 {
    let product = u128::from(a) * u128::from(b) + u128::from(c);
    (product >> 64) as u64 ^ product as u64
}

pub(crate) fn signed_high([a, b, c]: Words) -> u64 {
    let product = i128::from(a as i64) * i128::from(b as i64) - i128::from(c as i64);
    (product >> 61) as u64
}

/// Source: Appleby, MurmurHash3, the finalizer.
pub(crate) fn mixed_hash([a, b, c]: Words) -> u64 {
    let mut hash = a ^ b.rotate_left(21) ^ c.rotate_right(9);
    for _ in 0..4 {
        hash ^= hash >> 33;
        hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
        hash ^= hash >> 33;
        hash = hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    }
    hash ^ hash >> 33
}

pub(crate) fn greatest_divisor([a, b, _]: Words) -> u64 {
    let (mut a, mut b) = (a as u32, b as u32);
    while b != 0 {
        (a, b) = (b, a.checked_rem(b).unwrap_or(0));
    }
    u64::from(a)
}

pub(crate) fn power_modulo([a, b, c]: Words) -> u64 {
    let modulus = c & 0xffff_ffff | 1;
    let (mut base, mut exponent, mut result) = (a % modulus, b & 0xffff, 1 % modulus);
    while exponent != 0 {
        if exponent & 1 != 0 {
            result = result * base % modulus;
        }
        base = base * base % modulus;
        exponent >>= 1;
    }
    result
}

pub(crate) fn steps_to_one([a, _, _]: Words) -> u64 {
    let (mut x, mut steps) = (a & 0xffff | 1, 0u64);
    while x != 1 && steps < 1000 {
        x = if x & 1 == 1 { 3 * x + 1 } else { x / 2 };
        steps += 1;
    }
    steps
}

pub(crate) fn bits_and_bytes([a, b, c]: Words) -> u64 {
    let narrow = a as u32;
    let counted = narrow.count_ones() + narrow.leading_zeros() * 64 + b.trailing_zeros() * 4096;
    u64::from(counted) ^ b.swap_bytes() ^ c.reverse_bits() ^ u64::from(narrow.swap_bytes())
}

pub(crate) fn shifts([a, b, c]: Words) -> u64 {
    let amount = c as u32;
    let first = a.wrapping_shl(amount) ^ (b as i64).wrapping_shr(amount) as u64;
    let second = (a as u32).checked_shl(amount & 63).unwrap_or(7);
    first ^ u64::from(second) ^ u64::from((b as u16).rotate_left(amount & 15))
}

pub(crate) fn saturating([a, b, c]: Words) -> u64 {
    let narrow = (a as i8).saturating_add(b as i8) as u8;
    let middle = (a as i16).saturating_sub(b as i16) as u16;
    let wide = (a as i32).saturating_mul(c as i32) as u32;
    let unsigned = (b as u32).saturating_sub(c as u32);
    u64::from(narrow) | u64::from(middle) << 16 | u64::from(wide ^ unsigned) << 32
}

pub(crate) fn checked([a, b, c]: Words) -> u64 {
    let sum = (a as u32).checked_add(b as u32).map_or(1, u64::from);
    let product = (a as i64).checked_mul(c as i64).unwrap_or(-1) as u64;
    let quotient = (b as i32).checked_div(c as i32).unwrap_or(-7) as u64;
    let difference = a.checked_sub(b).unwrap_or(3);
    sum ^ product.rotate_left(13) ^ quotient ^ difference.rotate_left(29)
}

pub(crate) fn casts_to_integers([a, b, _]: Words) -> u64 {
    let (x, y) = (single(a), f64::from_bits(b));
    let parts = [
        x as i8 as u8 as u64,
        x as u16 as u64,
        x as i32 as u32 as u64,
        x as u64,
        y as i64 as u64,
        y as u32 as u64,
        y as i16 as u16 as u64,
    ];
    parts.iter().fold(0, |all, part| all.rotate_left(9) ^ part)
}

pub(crate) fn casts_to_floats([a, b, c]: Words) -> u64 {
    let first = (a as i64) as f32;
    let second = (b as u32) as f64 + (c as i8) as f64;
    let third = c as f64 as f32;
    given(first).rotate_left(7) ^ given_double(second) ^ given(third)
}

pub(crate) fn float_arithmetic([a, b, c]: Words) -> u64 {
    let (x, y, z) = (single(a), single(b), single(c));
    given((x + y) * z - x / y)
}

pub(crate) fn double_arithmetic([a, b, c]: Words) -> u64 {
    let (x, y, z) = (f64::from_bits(a), f64::from_bits(b), f64::from_bits(c));
    given_double((x - y) / z + x * y)
}

/// How soon a point leaves the Mandelbrot set.
pub(crate) fn escape_time([a, b, _]: Words) -> u64 {
    let (x, y) = (tame(a), tame(b));
    let (mut real, mut imaginary, mut steps) = (0f32, 0f32, 0u64);
    while real * real + imaginary * imaginary < 4.0 && steps < 60 {
        (real, imaginary) = (
            real * real - imaginary * imaginary + x,
            2.0 * real * imaginary + y,
        );
        steps += 1;
    }
    steps
}

/// A root by Newton's method.
pub(crate) fn newton([a, _, _]: Words) -> u64 {
    let x = f64::from(tame(a)) * f64::from(tame(a)) + 0.5;
    let mut root = x;
    for _ in 0..12 {
        root = (root + x / root) * 0.5;
    }
    given_double(root)
}

pub(crate) fn sorted([a, b, c]: Words) -> u64 {
    let mut all = [0u8; 16];
    for (index, byte) in all.iter_mut().enumerate() {
        *byte = (if index < 8 { a } else { b } >> (index % 8 * 8)) as u8;
    }
    for end in 1..16 {
        let mut place = end;
        while place > 0 && all[(place - 1) & 15] > all[place & 15] {
            all.swap((place - 1) & 15, place & 15);
            place -= 1;
        }
    }
    let first = (c & 15) as usize;
    (0..8).fold(0, |word, index| {
        word << 8 | u64::from(all[(first + index) & 15])
    })
}

pub(crate) fn matrix_product([a, b, c]: Words) -> u64 {
    let element = |word: u64, index: usize| tame(word.rotate_left(index as u32 * 7));
    let mut sum = 0f32;
    for row in 0..3 {
        for column in 0..3 {
            let mut product = 0f32;
            for inner in 0..3 {
                product += element(a, row * 3 + inner) * element(b, inner * 3 + column);
            }
            sum += product * element(c, row + column);
        }
    }
    given(sum)
}

enum State {
    Start,
    Number(u64),
    Sign { negative: bool },
    Failed,
}

/// Takes signs and digits of four bits each.
pub(crate) fn state_machine([a, b, _]: Words) -> u64 {
    let mut state = State::Start;
    for index in 0..16 {
        let symbol = a >> (index * 4) & 15;
        state = match (state, symbol) {
            (State::Start, 10) => State::Sign { negative: true },
            (State::Start, 11) => State::Sign { negative: false },
            (State::Start, 0..=9) => State::Number(symbol),
            (State::Sign { negative }, 0..=9) => State::Number(symbol ^ u64::from(negative)),
            (State::Number(value), 0..=9) => State::Number(value * 10 + symbol),
            (State::Number(value), 12) => State::Number(value ^ b),
            (State::Number(value), 13) => State::Number(value.rotate_left(3)),
            (State::Failed, 14) => State::Start,
            (State::Number(value), _) if value & 1 == 1 => State::Number(value >> 1),
            _ => State::Failed,
        };
        if let State::Number(value) = state {
            state = State::Number(value & 0xffff_ffff_ffff);
        }
    }
    match state {
        State::Start => 1,
        State::Number(value) => value,
        State::Sign { negative } => 2 + u64::from(negative),
        State::Failed => 4,
    }
}

/// The decimal digits of a number, as four bits each.
pub(crate) fn decimal([a, _, _]: Words) -> u64 {
    let (mut rest, mut digits, mut shift) = (a as u32, 0u64, 0);
    while rest != 0 {
        digits |= u64::from(rest % 10) << shift;
        rest /= 10;
        shift += 4;
    }
    digits
}

/// CRC-32 of 24 bytes. Source: ISO 3309, its polynomial reflected.
pub(crate) fn checksum(words: Words) -> u64 {
    let mut crc = u32::MAX;
    for word in words {
        for byte in word.to_le_bytes() {
            crc ^= u32::from(byte);
            for _ in 0..8 {
                crc = crc >> 1 ^ if crc & 1 != 0 { 0xedb8_8320 } else { 0 };
            }
        }
    }
    u64::from(!crc)
}

/// Source: Marsaglia, xorshift; Knuth's linear congruence.
pub(crate) fn generators([a, b, c]: Words) -> u64 {
    let (mut x, mut y) = (a | 1, b);
    for _ in 0..c & 31 {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        y = y
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
    }
    x ^ y
}

/// A product without carries.
pub(crate) fn polynomial_of_bits([a, b, _]: Words) -> u64 {
    (0..64).fold(0, |all, bit| {
        if b >> bit & 1 != 0 {
            all ^ a << bit
        } else {
            all
        }
    })
}

pub(crate) fn ordered_floats([a, b, c]: Words) -> u64 {
    let (x, y, z) = (single(a), single(b), single(c));
    let order = |a: f32, b: f32| match a.partial_cmp(&b) {
        Some(order) => (order as i8 as u8).into(),
        None => 9u64,
    };
    let total = (x.total_cmp(&z) as i8 as u8) as u64;
    order(x, y) | order(y, z) << 8 | total << 16 | u64::from(x <= z) << 24 | u64::from(x != y) << 25
}
