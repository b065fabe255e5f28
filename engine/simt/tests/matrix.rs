//! Products of matrices by a warp, of every shape and type, against sums of
//! whole numbers. Where each element lies is written down once more, as the
//! figures of PTX ISA 9.7.14.5 have it: by lane and by number of the element.

mod common;

use common::{Device, Random, bytes_of};
use half::{bf16, f16};

/// Row and column of element `i` of lane `lane`, of A, B, and of C and D.
type Place = fn(usize, usize) -> (usize, usize);

struct Shape {
    form: &'static str,
    inner: usize,
    rows: usize,
    a: Place,
    b: Place,
}

fn c_place(lane: usize, i: usize) -> (usize, usize) {
    (lane / 4 + if i < 2 { 0 } else { 8 }, lane % 4 * 2 + (i & 1))
}

#[rustfmt::skip]
const SHAPES: [Shape; 7] = [
    Shape { form: "m16n8k8.row.col.16", inner: 8, rows: 16,
        a: |l, i| (l / 4 + if i < 2 { 0 } else { 8 }, l % 4 * 2 + (i & 1)),
        b: |l, i| (l % 4 * 2 + i, l / 4) },
    Shape { form: "m16n8k16.row.col.16", inner: 16, rows: 16,
        a: |l, i| (l / 4 + if i % 4 < 2 { 0 } else { 8 }, l % 4 * 2 + (i & 1) + if i < 4 { 0 } else { 8 }),
        b: |l, i| (l % 4 * 2 + (i & 1) + if i < 2 { 0 } else { 8 }, l / 4) },
    Shape { form: "m16n8k4.row.col.32", inner: 4, rows: 16,
        a: |l, i| (l / 4 + i * 8, l % 4),
        b: |l, _| (l % 4, l / 4) },
    Shape { form: "m16n8k8.row.col.32", inner: 8, rows: 16,
        a: |l, i| (l / 4 + i % 2 * 8, l % 4 + if i < 2 { 0 } else { 4 }),
        b: |l, i| (l % 4 + i * 4, l / 4) },
    Shape { form: "m8n8k16.row.col.8", inner: 16, rows: 8,
        a: |l, i| (l / 4, l % 4 * 4 + i),
        b: |l, i| (l % 4 * 4 + i, l / 4) },
    Shape { form: "m16n8k16.row.col.8", inner: 16, rows: 16,
        a: |l, i| (l / 4 + if i < 4 { 0 } else { 8 }, l % 4 * 4 + i % 4),
        b: |l, i| (l % 4 * 4 + i, l / 4) },
    Shape { form: "m16n8k32.row.col.8", inner: 32, rows: 16,
        a: |l, i| (l / 4 + if i % 8 < 4 { 0 } else { 8 }, l % 4 * 4 + i % 4 + if i < 8 { 0 } else { 16 }),
        b: |l, i| (l % 4 * 4 + i % 4 + if i < 4 { 0 } else { 16 }, l / 4) },
];

/// Bits of a number as an element of a type.
fn element(ty: &str, value: i64) -> u32 {
    match ty {
        "f16" => u32::from(f16::from_f64(value as f64).to_bits()),
        "bf16" => u32::from(bf16::from_f64(value as f64).to_bits()),
        // The low bits of these do not count.
        "tf32" => (value as f32).to_bits() | 0x1234 & 0x1fff,
        "f32" => (value as f32).to_bits(),
        "u8" | "s8" => u32::from(value as u8),
        _ => value as u32,
    }
}

fn width(ty: &str) -> usize {
    match ty {
        "f16" | "bf16" => 16,
        "u8" | "s8" => 8,
        _ => 32,
    }
}

/// Registers of one lane, by the values of its elements.
fn packed(ty: &str, values: &[i64]) -> Vec<u32> {
    let count = 32 / width(ty);
    let pack = |part: &[i64]| {
        let bits = part.iter().enumerate();
        bits.fold(0, |all, (i, v)| all | element(ty, *v) << (i * width(ty)))
    };
    values.chunks(count).map(pack).collect()
}

/// Whole numbers: their sums are exact in each type of a result.
fn values(ty: &str, count: usize, random: &mut Random) -> Vec<i64> {
    let one = |bits: u64| match ty {
        "u8" => (bits % 256) as i64,
        "s8" => (bits % 256) as i64 - 128,
        _ => (bits % 9) as i64 - 4,
    };
    (0..count).map(|_| one(random.bits())).collect()
}

fn multiply(shape: &Shape, types: [&str; 4], saturating: bool, large: i64) {
    let [d, a, b, c] = types;
    let mut random = Random(shape.inner as u64 + shape.rows as u64);
    let counts = [shape.rows, shape.inner].iter().product::<usize>() / 32;
    let of_b = shape.inner * 8 / 32;
    let of_c = shape.rows * 8 / 32;
    let left = values(a, counts * 32, &mut random);
    let right = values(b, of_b * 32, &mut random);
    let mut sums = values("", of_c * 32, &mut random);
    sums.iter_mut().for_each(|c| *c *= large);
    let registers = |count: usize, ty: &str| count * width(ty) / 32;
    let [rd, ra, rb, rc] = [
        registers(of_c, d),
        registers(counts, a),
        registers(of_b, b),
        registers(of_c, c),
    ];
    let names = |letter: char, count: usize| {
        let all: Vec<_> = (0..count).map(|i| format!("%{letter}{i}")).collect();
        format!("{{{}}}", all.join(", "))
    };
    let all = ra + rb + rc;
    let loads: String = [('a', ra, 0), ('b', rb, ra), ('c', rc, ra + rb)]
        .iter()
        .flat_map(|(letter, count, first)| {
            (0..*count)
                .map(move |i| format!("ld.global.b32 %{letter}{i}, [%in+{}];\n", (first + i) * 4))
        })
        .collect();
    let stores: String = (0..rd)
        .map(|i| format!("st.global.b32 [%out+{}], %d{i};\n", i * 4))
        .collect();
    let size = &shape.form[..shape.form.rfind('.').expect("a width")];
    let satfinite = if saturating { ".satfinite" } else { "" };
    let form = format!("mma.sync.aligned.{size}{satfinite}.{d}.{a}.{b}.{c}");
    let text = format!(
        ".version 8.7\n.target sm_90\n.address_size 64\n
        .visible .entry k(.param .u64 in, .param .u64 out) {{
        .reg .b64 %in, %out; .reg .b32 %l, %a<8>, %b<8>, %c<8>, %d<8>;
        ld.param.u64 %in, [in]; ld.param.u64 %out, [out]; mov.u32 %l, %laneid;
        mad.wide.u32 %in, %l, {}, %in; mad.wide.u32 %out, %l, {}, %out;
        {loads}{form} {}, {}, {}, {};
        {stores} ret; }}",
        all * 4,
        rd * 4,
        names('d', rd),
        names('a', ra),
        names('b', rb),
        names('c', rc),
    );
    let mut device = Device::new(&text);
    let mut input = Vec::new();
    for lane in 0..32 {
        input.extend(packed(a, &left[lane * counts..][..counts]));
        input.extend(packed(b, &right[lane * of_b..][..of_b]));
        input.extend(packed(c, &sums[lane * of_c..][..of_c]));
    }
    let from = device.buffer(&bytes_of(&input, |v| v.to_le_bytes()));
    let to = device.buffer(&vec![0; rd * 32 * 4]);
    let parameters = [from.to_le_bytes(), to.to_le_bytes()].concat();
    device
        .launch("k", 1, 32, &parameters)
        .unwrap_or_else(|error| panic!("{form}: {error}"));
    let got = device.words(to, rd * 32);

    let (mut x, mut y) = ([[0i64; 32]; 16], [[0i64; 8]; 32]);
    for lane in 0..32 {
        for i in 0..counts {
            let (row, column) = (shape.a)(lane, i);
            x[row][column] = left[lane * counts + i];
        }
        for i in 0..of_b {
            let (row, column) = (shape.b)(lane, i);
            y[row][column] = right[lane * of_b + i];
        }
    }
    for lane in 0..32 {
        let expected: Vec<i64> = (0..of_c)
            .map(|i| {
                let (row, column) = c_place(lane, i);
                let products = (0..shape.inner).map(|k| x[row][k] * y[k][column]);
                let sum = products.sum::<i64>() + sums[lane * of_c + i];
                match saturating {
                    true => sum.clamp(i64::from(i32::MIN), i64::from(i32::MAX)),
                    false => sum,
                }
            })
            .collect();
        let expected = packed(d, &expected);
        assert_eq!(got[lane * rd..][..rd], expected, "{form}, lane {lane}");
    }
}

#[test]
fn products_of_floats() {
    for shape in &SHAPES {
        match shape.form.rsplit('.').next() {
            Some("16") => {
                multiply(shape, ["f16"; 4], false, 1);
                multiply(shape, ["f32", "f16", "f16", "f32"], false, 1000);
                multiply(shape, ["f32", "bf16", "bf16", "f32"], false, 1000);
            }
            Some("32") => multiply(shape, ["f32", "tf32", "tf32", "f32"], false, 1000),
            _ => {}
        }
    }
}

#[test]
fn products_of_bytes() {
    for shape in SHAPES.iter().filter(|shape| shape.form.ends_with(".8")) {
        for a in ["u8", "s8"] {
            for b in ["u8", "s8"] {
                multiply(shape, ["s32", a, b, "s32"], false, 1 << 29);
                multiply(shape, ["s32", a, b, "s32"], true, (1 << 29) - 1);
            }
        }
    }
}

#[test]
fn products_of_doubles() {
    let text = ".version 8.7\n.target sm_90\n.address_size 64\n
        .visible .entry k(.param .u64 in, .param .u64 out) {
        .reg .b64 %in, %out; .reg .b32 %l; .reg .f64 %a, %b, %c<2>, %d<2>;
        ld.param.u64 %in, [in]; ld.param.u64 %out, [out]; mov.u32 %l, %laneid;
        mad.wide.u32 %in, %l, 32, %in; mad.wide.u32 %out, %l, 16, %out;
        ld.global.v2.f64 {%a, %b}, [%in]; ld.global.v2.f64 {%c0, %c1}, [%in+16];
        mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%d0, %d1}, {%a}, {%b}, {%c0, %c1};
        st.global.v2.f64 [%out], {%d0, %d1}; ret; }";
    let mut random = Random(3);
    let input: Vec<f64> = (0..128)
        .map(|_| (random.bits() % 1000) as f64 - 500.0)
        .collect();
    let mut device = Device::new(text);
    let from = device.buffer(&bytes_of(&input, |v| v.to_le_bytes()));
    let to = device.buffer(&[0; 512]);
    let parameters = [from.to_le_bytes(), to.to_le_bytes()].concat();
    device.launch("k", 1, 32, &parameters).expect("runs");
    let got = device.bytes(to, 512);
    for (place, got) in got.chunks_exact(8).enumerate() {
        let (lane, i) = (place / 2, place % 2);
        let (row, column) = (lane / 4, lane % 4 * 2 + i);
        // A is by rows of four lanes, B by columns of four.
        let sum: f64 = (0..4)
            .map(|k| input[(row * 4 + k) * 4] * input[(column * 4 + k) * 4 + 1])
            .sum();
        let got = f64::from_le_bytes(got.try_into().expect("eight"));
        assert_eq!(got, sum + input[lane * 4 + 2 + i], "lane {lane}");
    }
}
