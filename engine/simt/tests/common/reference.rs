//! What each arithmetic form has to give, by its words: integers of 128 bits,
//! bit by bit, and LLVM's software floats. It shares nothing with the table.

use std::cmp::Ordering;

use rustc_apfloat::ieee::{BFloat, Double, Half, Single};
use rustc_apfloat::{Float, FloatConvert, Round};

/// How bits are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Unsigned,
    Signed,
    Float,
    Brain,
    Predicate,
}

/// A type of PTX.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ty {
    pub(crate) kind: Kind,
    pub(crate) bits: u32,
    pub(crate) pair: bool,
}

impl Ty {
    pub(crate) fn parse(word: &str) -> Option<Self> {
        let (word, pair) = match word.strip_suffix("x2") {
            Some(word) => (word, true),
            None => (word, false),
        };
        let digits = word.find(|c: char| c.is_ascii_digit())?;
        let kind = match &word[..digits] {
            "u" | "b" => Kind::Unsigned,
            "s" => Kind::Signed,
            "f" => Kind::Float,
            "bf" => Kind::Brain,
            _ => return None,
        };
        let bits: u32 = word[digits..].parse().ok()?;
        Some(Self { kind, bits, pair })
    }

    pub(crate) const PREDICATE: Self = Self {
        kind: Kind::Predicate,
        bits: 1,
        pair: false,
    };

    fn half(self) -> Self {
        Self {
            pair: false,
            ..self
        }
    }

    /// Bits in a register.
    pub(crate) fn width(self) -> u32 {
        if self.pair { self.bits * 2 } else { self.bits }
    }

    pub(crate) fn float(self) -> bool {
        matches!(self.kind, Kind::Float | Kind::Brain)
    }

    /// Whether these bits are no number; any such bits are as good as others.
    pub(crate) fn nan(self, bits: u64) -> bool {
        match (self.kind, self.bits) {
            (Kind::Brain, _) => bits & 0x7fff > 0x7f80,
            (Kind::Float, 16) => bits & 0x7fff > 0x7c00,
            (Kind::Float, 32) => bits & 0x7fff_ffff > 0x7f80_0000,
            (Kind::Float, _) => bits & (u64::MAX >> 1) > 0x7ff << 52,
            _ => false,
        }
    }

    fn mask(self) -> u64 {
        u64::MAX >> (64 - self.bits)
    }

    /// The value of an integer's bits.
    fn value(self, bits: u64) -> i128 {
        let bits = bits & self.mask();
        match self.kind {
            Kind::Signed if bits >> (self.bits - 1) & 1 != 0 => i128::from(bits) - (1 << self.bits),
            _ => i128::from(bits),
        }
    }

    fn least(self) -> i128 {
        match self.kind {
            Kind::Signed => -(1 << (self.bits - 1)),
            _ => 0,
        }
    }

    fn greatest(self) -> i128 {
        match self.kind {
            Kind::Signed => (1 << (self.bits - 1)) - 1,
            _ => (1 << self.bits) - 1,
        }
    }
}

/// The types among words.
pub(crate) fn types(words: &[&str]) -> Vec<Ty> {
    words[1..]
        .iter()
        .filter_map(|word| Ty::parse(word))
        .collect()
}

fn mode(words: &[&str]) -> Round {
    let has = |word: &str| words.contains(&word);
    match () {
        () if has("rz") || has("rzi") => Round::TowardZero,
        () if has("rm") || has("rmi") => Round::TowardNegative,
        () if has("rp") || has("rpi") => Round::TowardPositive,
        () => Round::NearestTiesToEven,
    }
}

fn of<F: Float>(bits: u64) -> F {
    F::from_bits(u128::from(bits))
}

fn to<F: Float>(value: F) -> u64 {
    value.to_bits() as u64
}

/// `$body` with `F` as the float of a type.
macro_rules! with_float {
    ($ty:expr, $f:ident ( $($argument:expr),* )) => {
        match ($ty.kind, $ty.bits) {
            (Kind::Brain, _) => $f::<BFloat>($($argument),*),
            (_, 16) => $f::<Half>($($argument),*),
            (_, 32) => $f::<Single>($($argument),*),
            _ => $f::<Double>($($argument),*),
        }
    };
}

/// The results of a form, `None` where this reference does not know it. A
/// comparison has two: whether it holds, and whether it fails.
pub(crate) fn results(words: &[&str], x: &[u64]) -> Option<Vec<u64>> {
    let all = types(words);
    let first = all.first().copied();
    match words[0] {
        "setp" => return setp(words, x),
        "set" => return set(words, x).map(|r| vec![r]),
        "testp" => return Some(vec![with_float!(first?, testp(words[1], x[0]))]),
        "selp" => return Some(vec![if x[2] != 0 { x[0] } else { x[1] }]),
        "slct" => return Some(vec![slct(words, x)]),
        "cvt" => return cvt(words, x).map(|r| vec![r]),
        _ => {}
    }
    if words.last() == Some(&"pred") {
        return Some(vec![match words[0] {
            "and" => x[0] & x[1],
            "or" => x[0] | x[1],
            "xor" => x[0] ^ x[1],
            "not" => x[0] ^ 1,
            _ => return None,
        }]);
    }
    if words.contains(&"approx") || words.contains(&"full") {
        return None;
    }
    let ty = first?;
    if ty.pair {
        let part = |shift: u32| {
            let x: Vec<u64> = x.iter().map(|x| x >> shift & 0xffff).collect();
            with_float!(ty.half(), arithmetic(words, &x))
        };
        return Some(vec![part(0)? | part(16)? << 16]);
    }
    if ty.float() {
        return with_float!(ty, arithmetic(words, x)).map(|r| vec![r]);
    }
    integer(ty, &all, words, x).map(|r| vec![r])
}

fn flushed<F: Float>(x: F) -> F {
    match x.is_denormal() {
        true => F::ZERO.copy_sign(x),
        false => x,
    }
}

fn below<F: Float>(a: F, b: F) -> bool {
    match a.partial_cmp(&b) {
        Some(Ordering::Less) => true,
        // -0 is less than +0.
        Some(Ordering::Equal) => a.is_negative() && !b.is_negative(),
        _ => false,
    }
}

fn arithmetic<F: Float>(words: &[&str], x: &[u64]) -> Option<u64> {
    let has = |word: &str| words.contains(&word);
    let take = |index: usize| {
        let value: F = of(x[index]);
        if has("ftz") { flushed(value) } else { value }
    };
    let (round, one) = (mode(words), F::from_u128(1).value);
    let result = match words[0] {
        "add" => take(0).add_r(take(1), round).value,
        "sub" => take(0).sub_r(take(1), round).value,
        "mul" => take(0).mul_r(take(1), round).value,
        "div" => take(0).div_r(take(1), round).value,
        "fma" | "mad" => take(0).mul_add_r(take(1), take(2), round).value,
        "rcp" => one.div_r(take(0), round).value,
        "sqrt" => root(take(0), round),
        "abs" => take(0).abs(),
        "neg" => -take(0),
        "copysign" => of::<F>(x[1]).copy_sign(of::<F>(x[0])),
        "min" | "max" => {
            let (a, b) = (take(0), take(1));
            let negative = a.is_negative() != b.is_negative();
            let (a, b) = match has("xorsign") {
                true => (a.abs(), b.abs()),
                false => (a, b),
            };
            let result = match (a.is_nan(), b.is_nan()) {
                (true, true) => F::NAN,
                (true, false) | (false, true) if has("NaN") => F::NAN,
                (true, false) => b,
                (false, true) => a,
                _ if below(a, b) == (words[0] == "min") => a,
                _ => b,
            };
            match has("xorsign") && negative {
                true => -result,
                false => result,
            }
        }
        _ => return None,
    };
    let result = if has("ftz") { flushed(result) } else { result };
    let result = match () {
        () if has("relu") && result.is_negative() && !result.is_nan() => F::ZERO,
        () if !has("sat") => result,
        () if result.is_nan() || below(result, F::ZERO) || result.is_zero() => F::ZERO,
        () if below(one, result) => one,
        () => result,
    };
    Some(to(result))
}

/// A root by the root of an integer that has more than twice the bits, with a
/// last bit that says whether anything was lost.
fn root<F: Float>(x: F, round: Round) -> F {
    if x.is_zero() || x.is_nan() {
        return x;
    }
    if x.is_negative() {
        return F::NAN;
    }
    if x.is_infinite() {
        return x;
    }
    let digits = F::PRECISION as i32;
    let exponent = x.ilogb();
    let shift = digits - 1 - exponent;
    // An integer of the precision's digits, for subnormals of fewer.
    let whole = x.scalbn(shift).to_u128(120).value;
    let mut power = -shift;
    let mut wide = whole << 64;
    power -= 64;
    if power % 2 != 0 {
        wide <<= 1;
        power -= 1;
    }
    let root = wide.isqrt();
    let sticky = u128::from(root * root != wide);
    let joined = F::from_u128_r(root << 1 | sticky, round).value;
    joined.scalbn(power / 2 - 1)
}

fn testp<F: Float>(test: &str, bits: u64) -> u64 {
    let x: F = of(bits);
    u64::from(match test {
        "finite" => x.is_finite(),
        "infinite" => x.is_infinite(),
        "number" => !x.is_nan(),
        "notanumber" => x.is_nan(),
        "normal" => x.is_finite_non_zero() && !x.is_denormal(),
        _ => x.is_denormal(),
    })
}

fn order<F: Float>(words: &[&str], a: u64, b: u64) -> Option<Ordering> {
    let take = |bits: u64| {
        let value: F = of(bits);
        if words.contains(&"ftz") {
            flushed(value)
        } else {
            value
        }
    };
    take(a).partial_cmp(&take(b))
}

/// Source: PTX ISA 9.3.1, comparisons.
fn holds(words: &[&str], ty: Ty, a: u64, b: u64) -> bool {
    let order = match ty.float() {
        true => with_float!(ty, order(words, a, b)),
        false => Some(ty.value(a).cmp(&ty.value(b))),
    };
    let operation = words[1];
    let unordered = matches!(
        operation,
        "equ" | "neu" | "ltu" | "leu" | "gtu" | "geu" | "nan"
    );
    let Some(order) = order else {
        return unordered;
    };
    match operation
        .strip_suffix('u')
        .filter(|_| unordered)
        .unwrap_or(operation)
    {
        "eq" => order == Ordering::Equal,
        "ne" => order != Ordering::Equal,
        "lt" | "lo" => order == Ordering::Less,
        "le" | "ls" => order != Ordering::Greater,
        "gt" | "hi" => order == Ordering::Greater,
        "ge" | "hs" => order != Ordering::Less,
        "num" => true,
        _ => false,
    }
}

fn combined(words: &[&str], result: bool, third: Option<&u64>) -> u64 {
    let (result, third) = (u64::from(result), third.copied().unwrap_or(0));
    match () {
        () if words.contains(&"and") => result & third,
        () if words.contains(&"or") => result | third,
        () if words.contains(&"xor") => result ^ third,
        () => result,
    }
}

fn setp(words: &[&str], x: &[u64]) -> Option<Vec<u64>> {
    let result = holds(words, *types(words).first()?, x[0], x[1]);
    Some(vec![
        combined(words, result, x.get(2)),
        combined(words, !result, x.get(2)),
    ])
}

fn set(words: &[&str], x: &[u64]) -> Option<u64> {
    let all = types(words);
    let result = holds(words, *all.get(1)?, x[0], x[1]);
    let one = match all[0].kind {
        Kind::Float => 0x3f80_0000,
        _ => 0xffff_ffff,
    };
    Some(if combined(words, result, x.get(2)) != 0 {
        one
    } else {
        0
    })
}

fn slct(words: &[&str], x: &[u64]) -> u64 {
    let chooser = types(words)[1];
    let first = match chooser.float() {
        false => chooser.value(x[2]) >= 0,
        true => matches!(
            order::<Single>(words, x[2], 0),
            Some(Ordering::Greater | Ordering::Equal)
        ),
    };
    if first { x[0] } else { x[1] }
}

fn converted<A: FloatConvert<B>, B: Float>(x: A, round: Round) -> B {
    x.convert_r(round, &mut false).value
}

/// A float as a double, which is exact.
fn double(ty: Ty, bits: u64) -> Double {
    let near = Round::NearestTiesToEven;
    match (ty.kind, ty.bits) {
        (Kind::Brain, _) => converted(of::<BFloat>(bits), near),
        (_, 16) => converted(of::<Half>(bits), near),
        (_, 32) => converted(of::<Single>(bits), near),
        _ => of(bits),
    }
}

/// A double as a float of a type, clamped and flushed as the words say.
fn finished(words: &[&str], ty: Ty, x: Double, round: Round) -> u64 {
    let has = |word: &str| words.contains(&word);
    let one = Double::from_u128(1).value;
    let x = match () {
        () if has("relu") && x.is_negative() && !x.is_nan() => Double::ZERO,
        () if !has("sat") => x,
        () if x.is_nan() || x.is_zero() || x.is_negative() => Double::ZERO,
        () if below(one, x) => one,
        () => x,
    };
    fn end<F: Float>(words: &[&str], x: F) -> u64 {
        to(match words.contains(&"ftz") && F::PRECISION == 24 {
            true => flushed(x),
            false => x,
        })
    }
    match (ty.kind, ty.bits) {
        (Kind::Brain, _) => end::<BFloat>(words, converted(x, round)),
        (_, 16) => end::<Half>(words, converted(x, round)),
        (_, 32) => end::<Single>(words, converted(x, round)),
        _ => end::<Double>(words, x),
    }
}

fn whole<F: Float>(value: i128, round: Round) -> u64 {
    to(F::from_i128_r(value, round).value)
}

/// Nearest of the two that have 10 bits behind the point.
fn tf32(words: &[&str], bits: u64) -> u64 {
    let x = f32::from_bits(bits as u32);
    let negative = x.is_sign_negative() && !x.is_nan();
    if words.contains(&"relu") && negative {
        return 0;
    }
    if !x.is_finite() {
        return bits;
    }
    let low = f32::from_bits(bits as u32 & !0x1fff);
    let high = f32::from_bits((bits as u32 & !0x1fff) + 0x2000);
    // Beyond the largest, the next power of two.
    let wide = |x: f32| match x.is_finite() {
        true => f64::from(x).abs(),
        false => 2f64.powi(128),
    };
    let (x, to_low, to_high) = (f64::from(x).abs(), wide(low), wide(high));
    let (down, up) = (x - to_low, to_high - x);
    let even = low.to_bits() >> 13 & 1 == 0;
    let low_wins = match words[1] {
        "rz" => true,
        "rna" => down < up,
        _ => down < up || down == up && even,
    };
    u64::from(if low_wins { low } else { high }.to_bits())
}

fn cvt(words: &[&str], x: &[u64]) -> Option<u64> {
    if words.contains(&"tf32") {
        return Some(tf32(words, x[0]));
    }
    let has = |word: &str| words.contains(&word);
    let all = types(words);
    let [target, from] = all[..] else { return None };
    let round = mode(words);
    if target.pair {
        let part = |x: u64| finished(words, target.half(), double(from, x), round);
        return Some(part(x[1]) | part(x[0]) << 16);
    }
    let integral = words[1].len() == 3 && words[1].starts_with('r') && words[1].ends_with('i');
    match (from.float(), target.float()) {
        (false, false) => {
            let value = from.value(x[0]);
            let value = match has("sat") {
                true => value.clamp(target.least(), target.greatest()),
                false => value,
            };
            // A wider register has copies of the sign above it.
            Some(target.value(value as u64) as u64)
        }
        (false, true) => {
            let value = from.value(x[0]);
            let bits = with_float!(target, whole(value, round));
            Some(match has("sat") {
                true => finished(words, target, double(target, bits), round),
                false => bits,
            })
        }
        (true, false) => {
            let value = double(from, x[0]);
            let value = match has("ftz") && from.bits == 32 {
                true if of::<Single>(x[0]).is_denormal() => Double::ZERO,
                _ => value,
            };
            if value.is_nan() {
                let zero = from.bits < 64 && target.bits < 64;
                let bits = if zero { 0 } else { 1 << (target.bits - 1) };
                return Some(target.value(bits) as u64);
            }
            let width = target.bits as usize;
            let bits = match target.kind {
                Kind::Signed => value.to_i128_r(width, round, &mut false).value as u64,
                _ => value.to_u128_r(width, round, &mut false).value as u64,
            };
            Some(target.value(bits) as u64)
        }
        (true, true) => {
            let value = match has("ftz") && from.bits == 32 {
                true => double(from, to(flushed(of::<Single>(x[0])))),
                false => double(from, x[0]),
            };
            let value = match integral {
                true => value.round_to_integral(round).value,
                false => value,
            };
            Some(finished(words, target, value, round))
        }
    }
}

fn integer(ty: Ty, all: &[Ty], words: &[&str], x: &[u64]) -> Option<u64> {
    let has = |word: &str| words.contains(&word);
    let v: Vec<i128> = x.iter().map(|x| ty.value(*x)).collect();
    let width = ty.bits;
    let twice = match words[1] {
        "wide" => Ty {
            bits: width * 2,
            ..ty
        },
        _ => ty,
    };
    let product = || v[0].wrapping_mul(v[1]);
    let part = |product: i128| match words[1] {
        // A product of two u64 has a bit more than an i128 has without its sign.
        "hi" if ty.kind == Kind::Signed => product >> width,
        "hi" => (product as u128 >> width) as i128,
        _ => product,
    };
    // The product of the low 24 bits, and its upper or lower 32.
    let product24 = || {
        let low = |x: i128| match ty.kind {
            Kind::Signed => (x & 0xff_ffff) - ((x & 0x80_0000) << 1),
            _ => x & 0xff_ffff,
        };
        let product = low(v[0]) * low(v[1]);
        if words[1] == "hi" {
            product >> 16
        } else {
            product
        }
    };
    let bit = |word: u64, place: u64| place < 64 && word >> place & 1 != 0;
    let set = |f: &dyn Fn(u64) -> bool| {
        (0..u64::from(width)).fold(0u64, |all, i| all | u64::from(f(i)) << i)
    };
    Some(match words[0] {
        "add" if has("sat") => (v[0] + v[1]).clamp(ty.least(), ty.greatest()) as u64,
        "sub" if has("sat") => (v[0] - v[1]).clamp(ty.least(), ty.greatest()) as u64,
        _ if has("cc") || matches!(words[0], "addc" | "subc" | "madc") => return None,
        "add" => (v[0] + v[1]) as u64,
        "sub" => (v[0] - v[1]) as u64,
        "mul" => part(product()) as u64,
        "mad" if has("sat") => (part(product()) + v[2]).clamp(ty.least(), ty.greatest()) as u64,
        "mad" => (part(product()) as u64).wrapping_add(twice.value(x[2]) as u64),
        "mul24" => product24() as u64,
        "mad24" => (product24() as u64).wrapping_add(x[2]),
        "sad" => ((v[0] - v[1]).abs() + v[2]) as u64,
        // By zero: all bits, as hardware has it; the ISA leaves it open.
        "div" => v[0].checked_div(v[1]).unwrap_or(-1) as u64,
        "rem" => v[0].checked_rem(v[1]).unwrap_or(v[0]) as u64,
        "abs" => v[0].unsigned_abs() as u64,
        "neg" => (-v[0]) as u64,
        "min" => v[0].min(v[1]) as u64,
        "max" => v[0].max(v[1]) as u64,
        "dp4a" => {
            let byte = |x: u64, ty: Ty, i: u64| Ty { bits: 8, ..ty }.value(x >> (8 * i));
            let sum: i128 = (0..4)
                .map(|i| byte(x[0], all[0], i) * byte(x[1], all[1], i))
                .sum();
            (sum as u64).wrapping_add(x[2])
        }
        "dp2a" => {
            let first = if words[1] == "hi" { 2 } else { 0 };
            let half = |i: u64| Ty { bits: 16, ..all[0] }.value(x[0] >> (16 * i));
            let byte = |i: u64| Ty { bits: 8, ..all[1] }.value(x[1] >> (8 * (first + i)));
            let sum = half(0) * byte(0) + half(1) * byte(1);
            (sum as u64).wrapping_add(x[2])
        }
        "and" => set(&|i| bit(x[0], i) && bit(x[1], i)),
        "or" => set(&|i| bit(x[0], i) || bit(x[1], i)),
        "xor" => set(&|i| bit(x[0], i) != bit(x[1], i)),
        "not" => set(&|i| !bit(x[0], i)),
        "cnot" => u64::from(x[0] & ty.mask() == 0),
        "lop3" => set(&|i| {
            let index = u64::from(bit(x[0], i)) << 2 | u64::from(bit(x[1], i)) << 1;
            bit(x[3], index | u64::from(bit(x[2], i)))
        }),
        "shl" => set(&|i| i >= x[1] && bit(x[0], i - x[1])),
        "shr" => {
            let top = u64::from(width) - 1;
            let fill = ty.kind == Kind::Signed && bit(x[0], top);
            set(&|i| match i.checked_add(x[1]) {
                Some(from) if from <= top => bit(x[0], from),
                _ => fill,
            })
        }
        "shf" => {
            let amount = match words[2] {
                "wrap" => x[2] & 31,
                _ => x[2].min(32),
            };
            let joined = x[1] << 32 | x[0];
            match words[1] {
                "l" => set(&|i| bit(joined, i + 32 - amount)),
                _ => set(&|i| bit(joined, i + amount)),
            }
        }
        "prmt" => permuted(words, x),
        "popc" => u64::from((x[0] & ty.mask()).count_ones()),
        "clz" => (0..u64::from(width))
            .take_while(|i| !bit(x[0], u64::from(width) - 1 - i))
            .count() as u64,
        "bfind" => {
            let sign = ty.kind == Kind::Signed && bit(x[0], u64::from(width) - 1);
            let found = (0..u64::from(width)).rev().find(|i| bit(x[0], *i) != sign);
            match found {
                None => 0xffff_ffff,
                Some(place) if has("shiftamt") => u64::from(width) - 1 - place,
                Some(place) => place,
            }
        }
        "brev" => set(&|i| bit(x[0], u64::from(width) - 1 - i)),
        "fns" => nth(x),
        // Source: the pseudo code of PTX ISA 9.7.1.19 and 9.7.1.20.
        "bfe" => {
            let (position, length) = (x[1] & 0xff, x[2] & 0xff);
            let top = u64::from(width) - 1;
            let signed = ty.kind == Kind::Signed && length > 0;
            let sign = signed && bit(x[0], (position + length).saturating_sub(1).min(top));
            set(&|i| match i < length && position + i <= top {
                true => bit(x[0], position + i),
                false => sign,
            })
        }
        "bfi" => {
            let (position, length) = (x[2] & 0xff, x[3] & 0xff);
            set(&|i| match i >= position && i < position + length {
                true => bit(x[0], i - position),
                false => bit(x[1], i),
            })
        }
        "szext" => {
            let length = match words[1] {
                "wrap" => x[1] & 31,
                _ => x[1].min(32),
            };
            let sign = ty.kind == Kind::Signed && length > 0 && bit(x[0], length - 1);
            set(&|i| if i < length { bit(x[0], i) } else { sign })
        }
        "bmsk" => {
            let take = |x: u64| {
                if words[1] == "wrap" {
                    x & 31
                } else {
                    x.min(32)
                }
            };
            let (position, length) = (take(x[0]), take(x[1]));
            set(&|i| i >= position && i < position + length)
        }
        _ => return None,
    })
}

/// Source: the pseudo code of PTX ISA 9.7.1.17.
fn nth(x: &[u64]) -> u64 {
    let (base, offset) = (x[1] as i64, i64::from(x[2] as u32 as i32));
    let none = 0xffff_ffff;
    if base > 31 {
        return none;
    }
    let set = |place: i64| x[0] >> place & 1 != 0;
    if offset == 0 {
        return if set(base) { base as u64 } else { none };
    }
    let step = offset.signum();
    let (mut place, mut left) = (base, offset.abs());
    while (0..32).contains(&place) {
        left -= i64::from(set(place));
        if left == 0 {
            return place as u64;
        }
        place += step;
    }
    none
}

/// Source: the tables of PTX ISA 9.7.9.7.
fn permuted(words: &[&str], x: &[u64]) -> u64 {
    let bytes = [(x[0] as u32).to_le_bytes(), (x[1] as u32).to_le_bytes()].concat();
    let c = (x[2] & 3) as usize;
    let table = |rows: [[usize; 4]; 4]| rows[c].map(|index| (index, false));
    let chosen = match words.get(2).copied().unwrap_or_default() {
        "f4e" => table([[0, 1, 2, 3], [1, 2, 3, 4], [2, 3, 4, 5], [3, 4, 5, 6]]),
        "b4e" => table([[0, 7, 6, 5], [1, 0, 7, 6], [2, 1, 0, 7], [3, 2, 1, 0]]),
        "rc8" => table([[0; 4], [1; 4], [2; 4], [3; 4]]),
        "ecl" => table([[0, 1, 2, 3], [1, 1, 2, 3], [2, 2, 2, 3], [3, 3, 3, 3]]),
        "ecr" => table([[0, 0, 0, 0], [0, 1, 1, 1], [0, 1, 2, 2], [0, 1, 2, 3]]),
        "rc16" => table([[0, 1, 0, 1], [2, 3, 2, 3], [0, 1, 0, 1], [2, 3, 2, 3]]),
        _ => std::array::from_fn(|i| {
            let selector = (x[2] >> (4 * i) & 15) as usize;
            (selector & 7, selector & 8 != 0)
        }),
    };
    let result = chosen.map(|(index, sign)| match sign {
        true if bytes[index] & 0x80 != 0 => 0xff,
        true => 0,
        false => bytes[index],
    });
    u64::from(u32::from_le_bytes(result))
}
